# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Several labels and scores: trained, evaluated and predicted by commands."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import FinetuneConfig, FinetuneOptimizerConfig, TaskConfig
from bertjax.finetune.artifact import load_finetuned
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import Rules, read_table
from launch import evaluate, export, finetune, predict, tasks
from launch.exports.huggingface import check_head
from launch.inference.encoding import Texts
from launch.inference.inputs import Source
from launch.inference.labeling import label_file
from launch.inference.predictor import Predictor
from tests.testing import small

pytestmark = pytest.mark.usefixtures("small_programs")

TEXTS = ("the cod cod and cod", "a cod oak cod oak", "by the hill hill")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("bundle") / "bundle")


def write_table(path, labels):
  """Write the texts again and again, each with its own label."""
  endings = [f"{one} {two}" for one in small.TOKENS[6:12] for two in ("a", ".")]
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(("text", "label"))
    for ending in endings:
      for text, label in zip(TEXTS, labels, strict=True):
        writer.writerow((f"{text} {ending}", label))
  return str(path)


def config_of(path, **task):
  return FinetuneConfig(
    steps=80,
    batch_size=12,
    evaluation_batch_size=24,
    evaluations=2,
    seq_length=16,
    learning_rates=(1e-2,),
    seeds=1,
    hidden_dropout_rate=0.0,
    attention_dropout_rate=0.0,
    optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
    task=TaskConfig(kind="table", train=path, test_rate=0.25, **task),
  )


def test_several_labels_are_learned_and_predicted(bundle, tmp_path, capsys):
  path = write_table(tmp_path / "topics.csv", ("fish", "fish|tree", ""))
  config = config_of(path, target="labels", separator="|")
  result = finetune.run(config, bundle, str(tmp_path / "work"))
  assert result.labels == ("fish", "tree")
  assert result.scores.metric == "micro_f1"
  assert result.scores.test["micro_f1"].mean > 0.9
  assert [each.label for each in result.classes] == list(result.labels)
  task = read_bundle_info(tmp_path / "work/model").details.task
  assert [task["temperature"]] == list(result.calibration.temperature.values)
  assert (
    "Expected calibration error" in (tmp_path / "work/results.md").read_text()
  )
  assert "test macro F1" in capsys.readouterr().out
  found = predict.answer(str(tmp_path / "work/model"), TEXTS)
  given = [{each[0] for each in answers if each[2]} for answers in found]
  assert given == [{"fish"}, {"fish", "tree"}, set()]
  predict.run("label", str(tmp_path / "work/model"), Texts(TEXTS[:1]))
  assert "| label" in capsys.readouterr().out


def test_scores_are_learned_and_predicted(bundle, tmp_path, capsys):
  values = (-1.0, 0.25, 1.5)
  path = write_table(tmp_path / "scores.csv", values)
  result = finetune.run(
    config_of(path, target="score"), bundle, str(tmp_path / "work")
  )
  assert result.scores.metric == "pearson"
  assert result.scores.test["spearman"].mean > 0.8
  assert result.scores.test["loss"].mean < 0.3
  assert (result.classes, result.never_predicted) == ((), ())
  assert result.calibration is None
  page = (tmp_path / "work/results.md").read_text()
  assert "test Spearman" in page
  table = read_table(path, Columns(label=""), Rules(needs_labels=False))
  found = predict.answer(str(tmp_path / "work/model"), table.texts)
  errors = [
    answers[0][0] - values[number % 3] for number, answers in enumerate(found)
  ]
  assert np.mean(np.square(errors)) < 0.3
  predict.run("score", str(tmp_path / "work/model"), Texts(TEXTS[:1]))
  with pytest.raises(ValueError, match=r"top_k=3 has no effect: regression l"):
    predict.run(None, str(tmp_path / "work/model"), Texts(TEXTS[:1]), 3)
  assert "| score" in capsys.readouterr().out


def test_choices_are_learned(bundle, tmp_path, capsys):
  """The choice that goes on with the fish of the context is right."""
  path = tmp_path / "swag.csv"
  generator = np.random.default_rng(0)
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(("sent1", "sent2", "ending0", "ending1", "label"))
    for number in range(60):
      endings = ["and a cod", "and an oak"]
      right = int(generator.integers(2))
      ending = " ".join(generator.choice(small.TOKENS[6:12], 3))
      writer.writerow(
        (
          f"by the river {number % 7}",
          ending,
          *endings[:: 1 - 2 * right],
          right,
        )
      )
  config = config_of(
    str(path),
    target="choice",
    text="sent1",
    text_pair="sent2",
    choices="ending0,ending1",
    num_choices=2,
  )
  config = dataclasses.replace(config, steps=40)
  result = finetune.run(config, bundle, str(tmp_path / "work"))
  assert result.labels == ()
  assert sum(result.examples.values()) == 60
  assert result.scores.test["accuracy"].mean == 1
  test = result.examples["test"]
  assert f"test: {test} examples, 0 cut at 16 tokens" in capsys.readouterr().out
  model = str(tmp_path / "work/model")
  with pytest.raises(ValueError, match="chooses among several texts"):
    predict.answer(model, TEXTS)
  check_predicted_choices(model, tmp_path, capsys)
  again = evaluate.evaluate(model)
  assert again.scores == {
    name: each.mean for name, each in result.scores.test.items()
  }
  assert again.confusion is None
  assert "accuracy" in evaluate.show(again)


def check_predicted_choices(model, folder, capsys):
  """Files, lists, texts of the command line and Python agree."""
  start = " ".join(small.TOKENS[6:9])
  rows = [
    {"c": "by the river 3", "s": start, "e": ["and an oak", "", "and a cod"]},
    {"c": "by the river 5", "s": start, "e": ["and a cod", "and an oak"]},
    {"c": "by the river 5", "s": start, "e": ["and a cod", " "]},
    {"c": "by the river 5", "s": start, "e": ["a"] * 33},
    {"c": "by the river 5", "s": start, "e": [3, "a"]},
  ]
  path, output = folder / "in.jsonl", folder / "out.jsonl"
  path.write_text("\n".join(map(json.dumps, rows)))
  columns = Columns("c", "", "s", others=("e",))
  with pytest.raises(ValueError, match=r"jsonl:3 has 1 choices in e; .* \(3 r"):
    label_file(model, Source(str(path), columns), str(output))
  assert not output.exists()
  source = Source(str(path), columns, skip_bad_rows=True)
  label_file(model, source, str(output))
  told = capsys.readouterr().err
  assert "2 rows are in" in told
  found = [json.loads(line) for line in output.read_text().splitlines()]
  assert [each.pop("line") for each in found] == [1, 2]
  # The empty choice keeps its number, and none of the start is in the answer.
  assert [each["number"] for each in found] == [2, 0]
  assert [each["choice"] for each in found] == ["and a cod"] * 2
  (other,) = found[0]["alternatives"]
  assert (other["choice"], other["number"]) == ("and an oak", 0)
  assert found[0]["probability"] + other["probability"] == pytest.approx(1)
  good = rows[:2]
  predictor = predict.load_predictor(model)
  given = [[row[name] for row in good] for name in "cse"]
  assert predictor(given[0], given[1], choices=given[2]) == found
  assert predictor([given[0][1]], [start], choices=[given[2][1]]) == found[1:]
  with pytest.raises(ValueError, match=r"2 texts have 1 choices; give one"):
    predictor(given[0], choices=given[2][:1])
  with pytest.raises(ValueError, match=r"text 1 has the choices \['a'\]; give"):
    predictor(given[0], choices=[given[2][0], ["a"]])
  table = folder / "in.csv"
  table.write_text(f"c,s,x,y\nby the river 5,{start},and a cod,and an oak\n")
  label_file(
    model, Source(str(table), Columns("c", "", "s", others=("x", "y"))), ""
  )
  (line,) = capsys.readouterr().out.splitlines()
  assert json.loads(line) == {"line": 2, **found[1]}
  texts = Texts(["by the river 5"], [start], [["and a cod", "and an oak"]])
  predict.run("choose", model, texts, 1)
  shown = capsys.readouterr().out
  assert "| and a cod" in shown
  assert "an oak" not in shown


@pytest.mark.parametrize(
  "pooling",
  ["mean", pytest.param("max", marks=pytest.mark.full), "attention"],
)
def test_long_texts_are_read_in_windows(bundle, tmp_path, capsys, pooling):
  """The word that tells the class is beyond the first row."""
  path = tmp_path / "long.csv"
  generator = np.random.default_rng(0)
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(("text", "label"))
    for number in range(60):
      fill = " ".join(generator.choice(small.TOKENS[6:12], 12))
      label = ("fish", "tree")[number % 2]
      word = {"fish": "cod", "tree": "oak"}[label]
      writer.writerow((f"{fill} {word} {word} {word}", label))
  config = config_of(str(path), long_texts=pooling, stride=6)
  config = dataclasses.replace(config, seq_length=10, steps=80)
  result = finetune.run(config, bundle, str(tmp_path / "work"))
  assert result.scores.test["accuracy"].mean == 1
  counts = (
    result.classes[0].examples["test"],
    result.classes[1].examples["test"],
  )
  assert sum(counts) == result.examples["test"]
  assert "in 48 windows of at most 10 tokens" in capsys.readouterr().out
  model = str(tmp_path / "work/model")
  again = evaluate.evaluate(model)
  assert again.confusion.sum() == sum(counts)
  assert again.scores["accuracy"] == result.scores.test["accuracy"].mean
  texts = ["a by the river and . a by the river cod cod cod", "oak oak"]
  found = predict.answer(model, texts)
  assert [answers[0][0] for answers in found] == ["fish", "tree"]
  loaded = load_finetuned(model, tasks.TASKS)
  # A temperature divides the logits, and not what weighs windows.
  loaded = dataclasses.replace(
    loaded, head=dataclasses.replace(loaded.head, temperature=3.0)
  )
  for plain, softened in zip(
    found,
    Predictor(loaded, calibrate=True).answers(Texts(texts)),
    strict=True,
  ):
    powers = {name: share ** (1 / 3) for name, share in plain}
    wanted = {
      name: each / sum(powers.values()) for name, each in powers.items()
    }
    assert dict(softened) == pytest.approx(wanted, rel=1e-4)
  with pytest.raises(ValueError, match="pools the windows of long texts"):
    check_head(loaded.head)
  if pooling != "attention":
    return
  # Their weights are a parameter of the head.
  assert {*loaded.params} >= {"classifier", "window_scorer"}
  out = tmp_path / "out"
  export.run(bundle=model, output=out, format="sentence_transformers")
  assert (out / "modules.json").is_file()


def test_scores_read_as_classes_name_the_flag_that_makes_them_right(
  bundle, tmp_path
):
  path = small.write_scores(tmp_path / "scores.csv")
  with pytest.raises(ValueError, match=r"this is regression") as caught:
    finetune.run(config_of(path), bundle, str(tmp_path / "work"))
  assert "--config.task.target=score" in str(caught.value)
