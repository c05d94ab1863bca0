# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Choices that are longer than the model, from a table to predictions."""

import csv
import dataclasses
import json
import pathlib

import numpy as np
import pytest

from bertjax.config import FinetuneConfig, FinetuneOptimizerConfig, TaskConfig
from bertjax.finetune.artifact import load_finetuned
from data_pipelines.tasks.table_files import Columns
from launch import evaluate, export, finetune, predict, tasks
from launch.exports.huggingface import check_head
from launch.inference.inputs import Source
from launch.inference.labeling import label_file
from tests.testing import small

pytestmark = pytest.mark.usefixtures("small_programs")

ENDINGS = ("ending0", "ending1")
CONFIG = FinetuneConfig(
  steps=40,
  batch_size=12,
  evaluation_batch_size=24,
  evaluations=2,
  seq_length=12,
  learning_rates=(1e-2,),
  seeds=1,
  hidden_dropout_rate=0.0,
  attention_dropout_rate=0.0,
  optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("bundle") / "bundle")


def fill(generator, count=8):
  return " ".join(generator.choice(small.TOKENS[6:12], count))


def write(path, seed, count):
  """The word that tells the right choice is beyond the first row."""
  generator = np.random.default_rng(seed)
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(("sent1", *ENDINGS, "label"))
    for number in range(count):
      right = number % 2
      endings = [f"{fill(generator)} {word} {word}" for word in ("cod", "oak")]
      writer.writerow(("by the river", *endings[:: 1 - 2 * right], right))
  return str(path)


@pytest.mark.parametrize(
  "pooling", [pytest.param("mean", marks=pytest.mark.full), "attention"]
)
def test_long_choices_are_read_in_windows(bundle, tmp_path, capsys, pooling):
  path = write(tmp_path / "test.csv", 1, 14)
  task = TaskConfig(
    kind="table",
    train=write(tmp_path / "train.csv", 0, 40),
    test=path,
    target="choice",
    text="sent1",
    choices=",".join(ENDINGS),
    num_choices=2,
    long_texts=pooling,
    stride=3,
  )
  config = dataclasses.replace(CONFIG, task=task)
  result = finetune.run(config, bundle, str(tmp_path / "work"))
  assert result.scores.test["accuracy"].mean == 1
  # Six of the ten tokens of a choice stand beside the context in a window.
  told = "test: 14 examples, in 84 windows of at most 12 tokens"
  assert told in capsys.readouterr().out
  model = str(tmp_path / "work/model")
  # A file that is scored alone is read in the windows of the model, too.
  again = evaluate.evaluate(model, split=path)
  assert "in 84 windows" in capsys.readouterr().out
  assert again.scores == {
    name: each.mean for name, each in result.scores.test.items()
  }
  check_predictions(model, path, tmp_path / "out.jsonl", again.scores)
  head = load_finetuned(model, tasks.TASKS).head
  with pytest.raises(ValueError, match="pools the windows of long texts"):
    check_head(head)
  check_export(model, tmp_path / "onnx", pooling)


def check_predictions(model, path, output, scores):
  """A file, lists and texts of the command line agree with evaluation."""
  label_file(
    model, Source(path, Columns("sent1", "", "", others=ENDINGS)), str(output)
  )
  found = [json.loads(line) for line in output.read_text().splitlines()]
  with pathlib.Path(path).open(newline="") as file:
    rows = list(csv.DictReader(file))
  chances = []
  for each, row in zip(found, rows, strict=True):
    del each["line"]
    is_right = each["number"] == int(row["label"])
    chances.append(abs((not is_right) - each["probability"]))
  assert np.mean(np.asarray(chances) > 0.5) == scores["accuracy"]
  assert -np.log(chances).mean() == pytest.approx(scores["loss"], abs=1e-5)
  texts = [row["sent1"] for row in rows]
  choices = [[row[name] for name in ENDINGS] for row in rows]
  assert predict.load_predictor(model)(texts, choices=choices) == found
  packed = predict.load_predictor(model, pack=True)(texts, choices=choices)
  assert [each["probability"] for each in packed] == pytest.approx(
    [each["probability"] for each in found], abs=1e-5
  )
  (first,) = predict.answer(model, texts[:1], choices=choices[:1])
  assert first[0][0] == found[0]["choice"]


def check_export(model, target, pooling):
  """A graph has the logits of each window, and the score that weighs it."""
  onnxruntime = pytest.importorskip("onnxruntime")
  # It is compared with the model as it is written.
  export.run(bundle=model, output=target, format="onnx")
  settings = json.loads((target / "config.json").read_text())
  assert (settings["long_texts"], settings["stride"]) == (pooling, 3)
  card = " ".join((target / "README.md").read_text().split())
  assert "windows that begin every 3 tokens; these lines cut them" in card
  session = onnxruntime.InferenceSession(target / "model.onnx")
  shapes = {each.name: each.shape for each in session.get_outputs()}
  names = {"logits", "attention"} if pooling == "attention" else {"logits"}
  assert shapes == {name: ["batch_size", "num_choices"] for name in names}
