# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tagging and question answering, from their files to their scores."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  TaskConfig,
)
from bertjax.finetune import splits
from bertjax.finetune.artifact import load_finetuned
from bertjax.finetune.programs import make_programs
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks import conll, squad
from data_pipelines.tasks.table_files import Columns
from launch import evaluate, finetune, predict, tasks
from launch.inference import forms
from launch.inference.encoding import Texts
from launch.inference.inputs import Source
from launch.inference.labeling import Options, label_file
from launch.inference.predictor import load_predictor
from launch.preflight.policy import Policy
from tests.testing import hub_rows, small, squad_files

pytestmark = pytest.mark.usefixtures("small_programs")

CONFIG = FinetuneConfig(
  steps=60,
  batch_size=16,
  evaluation_batch_size=8,
  evaluations=1,
  seq_length=14,
  learning_rates=(1e-2,),
  warmup_rate=0.2,
  seeds=1,
  optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
)
KINDS = {word: kind for kind, words in small.WORDS.items() for word in words}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("place") / "bundle")


def write_conll(path, count, seed):
  """Sentences with one or two entities, some longer than a row."""
  generator = np.random.default_rng(seed)
  lines = []
  for number in range(count):
    words = []
    for _ in range(6 if number % 5 == 0 else 2):
      word = generator.choice([*KINDS])
      words += [("the", "O"), (word, f"B-{KINDS[word]}")]
      if generator.random() < 0.5:
        words += [(f"{word}s", f"I-{KINDS[word]}")]
    lines += [f"{word} {tag}\n" for word, tag in words] + ["\n"]
  path.write_text("".join(lines))
  return str(path)


def write_squad(path, count, seed):
  """Contexts with one fish and one tree; the answer is the fish, or none."""
  generator = np.random.default_rng(seed)
  paragraphs = []
  for number in range(count):
    fish = generator.choice(small.WORDS["fish"])
    tree = generator.choice(small.WORDS["tree"])
    words = generator.permutation([fish, tree, "by", "the", "river"])
    if number % 4 == 0:  # longer than a row
      words = [*words, *["and", "a", "hill"] * 4]
    silent = number % 3 == 0
    if silent:
      words = [tree if word == fish else word for word in words]
    question = ("a .", None if silent else str(fish))
    paragraphs.append((" ".join(words), [question]))
  return squad_files.write(path, *paragraphs)


def run(kind, write, bundle, folder):
  task = TaskConfig(
    kind=kind,
    train=write(folder / "train", 64, 0),
    dev=write(folder / "dev", 24, 1),
    test=write(folder / "test", 24, 2),
    stride=5,
  )
  if kind == "squad":
    task = dataclasses.replace(task, max_question_length=2)
  config = dataclasses.replace(CONFIG, task=task)
  work = str(folder / "work")
  policy = Policy(allow=frozenset({"shared_texts", "contradicting_texts"}))
  return finetune.run(config, bundle, work, policy=policy), config


@pytest.fixture(scope="module")
def tagged(bundle, tmp_path_factory):
  folder = tmp_path_factory.mktemp("tagged")
  return *run("conll", write_conll, bundle, folder), folder / "work" / "model"


@pytest.fixture(scope="module")
def answered(bundle, tmp_path_factory):
  folder = tmp_path_factory.mktemp("answered")
  return *run("squad", write_squad, bundle, folder), folder / "work" / "model"


def test_tags_are_learned(tagged):
  result, *_ = tagged
  assert result.scores.test["f1"].mean > 0.9
  assert [each.label for each in result.classes] == ["fish", "tree"]
  assert result.examples == {"train": 64, "dev": 24, "test": 24}


def test_answers_are_learned_and_so_is_their_absence(answered):
  result, *_ = answered
  assert result.scores.test["exact"].mean > 0.9
  assert result.scores.test["no_answer_exact"].mean > 0.9


def test_the_model_keeps_what_prediction_needs(tagged, answered):
  head = load_finetuned(tagged[2], tasks.TASKS).head
  assert head.labels == ("B-fish", "B-tree", "I-fish", "I-tree", "O")
  assert head.settings == {"stride": 5}
  head = load_finetuned(answered[2], tasks.TASKS).head
  dev, test = answered[0].scores.dev, answered[0].scores.test
  assert head.settings == {
    "stride": 5,
    "max_question_length": 2,
    "max_answer_length": 30,
    "null_answers": 1,
    "null_threshold": dev["null_threshold"].values[0],
  }
  assert test["null_threshold"] == dev["null_threshold"]


@pytest.mark.parametrize("kind", ["tagged", "answered"])
def test_tags_and_answers_are_calibrated(kind, request):
  result, _, model = request.getfixturevalue(kind)
  (temperature,) = result.calibration.temperature.values
  head = load_finetuned(model, tasks.TASKS).head
  assert head.temperature == temperature
  for split in ("dev", "test"):
    found = evaluate.evaluate(str(model), split=split).calibration
    assert found.temperature == temperature
    for name, error in (
      ("before", found.error),
      ("after", found.error_with_temperature),
    ):
      stored = getattr(result.calibration, name)[split].values
      assert stored == pytest.approx((error,), abs=1e-6)


@pytest.mark.parametrize(("metric", "found"), [("exact", 1), ("f1", None)])
def test_the_threshold_is_tuned_for_the_metric(answered, bundle, metric, found):
  _, config, _ = answered
  changed = dataclasses.replace(config, metric=metric)
  info = read_bundle_info(bundle)
  data, _ = tasks.load_data(changed, info.model, info.tokenizer_path)
  assert data.settings.get("tuned_for_exact") == found


@pytest.mark.parametrize("name", ["tagged", "answered"])
def test_packed_scores_equal_unpacked_ones(name, request, bundle):
  """Whatever the number of rows in a batch, the last one is padded."""
  _, config, path = request.getfixturevalue(name)
  model = load_finetuned(path, tasks.TASKS)
  info = read_bundle_info(bundle)
  mesh = make_mesh(config.mesh, jax.devices()[:1])
  found = {}
  for pack, size in ((True, 8), (False, 7)):
    changed = dataclasses.replace(config, pack=pack, evaluation_batch_size=size)
    data, _ = tasks.load_data(changed, info.model, info.tokenizer_path)
    programs = make_programs(
      model.task, len(data.labels), info.model, changed, 1, mesh
    )
    split = splits.make_split(
      data.splits["test"], programs, size, data.labels, model.head.settings
    )
    found[pack] = splits.evaluate(programs, model.params, split).scores
    assert sum(split.windows.length_N) > 24 * 3
  assert found[True] == pytest.approx(found[False], abs=1e-5)


@pytest.mark.parametrize("name", ["tagged", "answered"])
def test_a_model_is_scored_again_as_it_was(name, request):
  result, _, path = request.getfixturevalue(name)
  found = evaluate.evaluate(str(path))
  for score, value in found.scores.items():
    assert value == pytest.approx(result.scores.test[score].mean, abs=1e-6)
  shown = evaluate.show(found)
  assert ("| fish " in shown) == (name == "tagged")


def test_entities_of_raw_text_are_predicted(tagged):
  predictor = load_predictor(tagged[2])
  words = ["cod", "elm", "eel", "oak", "ash", "Pike", "fir", "trout"]
  text = "The  " + " the ".join(words)
  (record,) = predictor([text])
  entities = record["entities"]
  assert [each["entity"] for each in entities] == words
  for each in entities:
    assert each["type"] == KINDS[each["entity"].lower()]
    assert text[each["start"] : each["stop"]] == each["entity"]
    assert 0 < each["probability"] <= 1
  assert predictor([""]) == [{"entities": []}]


def test_a_text_without_an_entity_says_so(tagged, capsys):
  predict.run(None, str(tagged[2]), Texts(["the the"]))
  assert capsys.readouterr().out == "the the\nno entity is found\n"


def test_answers_are_parts_of_the_context_that_is_given(answered):
  predictor = load_predictor(answered[2])
  context = "by the  river Eel elm and a hill and a hill and a hill"
  known, silent = predictor(
    ["a ."] * 2, [context, context.replace("Eel", "oak")]
  )
  assert (known["answer"], silent["answer"]) == ("Eel", "")
  assert context[known["start"] : known["stop"]] == "Eel"
  assert known["alternatives"]
  with pytest.raises(ValueError, match="reads pairs of texts; give the second"):
    predictor(["a ."])


def label(path, model, output, column="", **options):
  """Label a file as `launch.predict` does; return the bytes that it writes."""
  source = Source(str(path), Columns(column or "text"))
  details = read_bundle_info(model).details
  flag = "text_column" if column else ""
  source = forms.fit(source, details, None, None, flag)
  label_file(str(model), source, str(output), Options(**options))
  return output.read_bytes()


def test_the_words_of_a_file_are_tagged_as_they_are_divided(tagged, tmp_path):
  _, config, model = tagged
  written = label(config.task.test, model, tmp_path / "out.jsonl")
  found = [json.loads(line) for line in written.splitlines()]
  wanted = conll.read_file(config.task.test, conll.Columns(0, -1), False)
  assert [tuple(each["words"]) for each in found] == [
    sentence.words for sentence in wanted.examples
  ]
  pairs = [
    (given, tag)
    for each, sentence in zip(found, wanted.examples, strict=True)
    for given, tag in zip(each["tags"], sentence.tags, strict=True)
  ]
  assert sum(given == tag for given, tag in pairs) > 0.95 * len(pairs)
  for each in found:
    assert each["entities"] == [
      {**entity, "entity": " ".join(each["words"][slice(*words)])}
      for entity in each["entities"]
      for words in [(entity["first_word"], entity["last_word"] + 1)]
    ]
  # Words alone, and a mark inside of a word that nobody divides again.
  bare = tmp_path / "bare.conll"
  bare.write_text("the\nco.d,\n\nthe\ncod\n")
  first, second = label(bare, model, tmp_path / "bare.jsonl").splitlines()
  assert json.loads(first)["words"] == ["the", "co.d,"]
  assert json.loads(second)["tags"] == ["O", "B-fish"]


def test_rows_of_words_are_scored_and_tagged_as_the_columns_are(
  tagged, tmp_path
):
  _, config, model = tagged
  path = config.task.test
  sentences = conll.read_file(path, conll.Columns(0, -1), False).examples
  named = [zip(each.words, each.tags, strict=True) for each in sentences]
  rows = hub_rows.write(tmp_path / "a.jsonl", *map(list, named), words="w")
  changes = {"task.words": "w"}
  found = evaluate.evaluate(str(model), split=rows, changes=changes)
  assert found.scores == evaluate.evaluate(str(model), split=path).scores
  with pytest.raises(
    ValueError, match=r"task.words=w is read only with .*conll"
  ):
    evaluate.evaluate(str(model), split=path, changes=changes)
  columns = label(path, model, tmp_path / "columns.jsonl").splitlines()
  written = label(rows, model, tmp_path / "rows.jsonl", "w").splitlines()
  for number, (row, other) in enumerate(zip(written, columns, strict=True), 1):
    assert json.loads(row) == {**json.loads(other), "line": number}


def test_rows_of_questions_are_scored_and_answered_as_the_json_is(
  answered, tmp_path
):
  _, config, model = answered
  path = config.task.test
  questions = squad.read_file(path).examples
  rows = hub_rows.write_lines(
    tmp_path / "a.jsonl",
    [
      {
        "id": f"q{number}",
        "question": each.question,
        "context": each.context,
        "answers": {
          "text": [answer.text for answer in each.answers],
          "answer_start": [answer.start for answer in each.answers],
        },
      }
      for number, each in enumerate(questions)
    ],
  )
  found = evaluate.evaluate(str(model), split=rows)
  assert found.scores == evaluate.evaluate(str(model), split=path).scores
  whole = json.loads(label(rows, model, tmp_path / "out.json"))
  assert [*whole] == [f"q{number}" for number in range(len(questions))]
  right = [whole[f"q{n}"] for n, each in enumerate(questions) if each.answers]
  assert sum(map(bool, right)) > 0.9 * len(right)


def test_a_temperature_leaves_every_answer_as_it_was(answered, tmp_path):
  """It changes how sure an answer is; the threshold is divided with logits."""
  _, config, model = answered
  path = shutil.copy(config.task.test, tmp_path / "test.json")
  plain, sure = (
    [
      json.loads(line)
      for line in label(
        path,
        model,
        tmp_path / f"{calibrate}.jsonl",
        calibrate=calibrate,
      ).splitlines()
    ]
    for calibrate in (False, True)
  )
  assert [each["answer"] for each in plain] == [each["answer"] for each in sure]
  assert plain != sure
  assert {"", "cod"} <= {each["answer"] for each in plain}


def test_questions_of_a_file_are_answered_by_their_id(answered, tmp_path):
  model = answered[2]
  path = tmp_path / "questions.json"
  context = "by the river Eel elm and a hill"
  silent = context.replace("Eel", "oak")
  asked = [("a .", None)]
  squad_files.write(path, (context, asked), (silent, asked), ids=True)
  lines = label(path, model, tmp_path / "out.jsonl").splitlines()
  records = [json.loads(line) for line in lines]
  assert [(each["line"], each["id"]) for each in records] == [
    (1, "q0"),
    (2, "q1"),
  ]
  whole = json.loads(label(path, model, tmp_path / "out.json"))
  assert whole == {each["id"]: each["answer"] for each in records}
  assert whole == {"q0": "Eel", "q1": ""}
  with pytest.raises(ValueError, match=r"top_k=2 has no effect: .*out\.json"):
    label(path, model, tmp_path / "out.json", top_k=2)


def test_a_question_that_is_cut_is_told_as_one(answered, tmp_path, caplog):
  path = tmp_path / "questions.json"
  squad_files.write(path, ("the cod", [("a . by the river", None)]))
  label(path, answered[2], tmp_path / "out.jsonl")
  (told,) = [m for m in caplog.messages if "lose their end" in m]
  assert "1 of 1 questions have more tokens than max_question_length" in told
  assert "seq_length" not in told
