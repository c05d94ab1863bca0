# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each public data set trains, is scored and is predicted, as it is stored."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.testing import small

ROOT = pathlib.Path(__file__).parents[2]
FEW = (
  *("--config.steps=2", "--config.seeds=1", "--config.learning_rates=(1e-3,)"),
  *("--config.evaluations=1", "--config.seq_length=16"),
  # A vocabulary of few words knows few of those of real text.
  "--allow=task_unknown_tokens",
)
OF_SPANS = ("--config.task.stride=8", "--config.task.max_question_length=4")


def of_files(task, end):
  return (
    f"--config=finetune:task={task}",
    *(f"--config.task.{name}=DATA/{name}.{end}" for name in ("train", "dev")),
  )


# Folder of a data set: (flags of fine-tuning, file to label, names of a line).
DATA_SETS = {
  "banking77": (
    (
      "--config=finetune:task=table",
      "--config.task.train=DATA/train.csv",
      "--config.task.test=DATA/test.csv",
      "--config.task.label=category",
    ),
    "test.csv",
    {"label", "probability"},
  ),
  "clinc150": (
    ("--config=finetune:task=clinc150", "--config.task.folder=DATA"),
    "data_full.json",
    {"label", "probability"},
  ),
  **{
    folder: (
      (f"--config=finetune:task=glue/{name}", "--config.task.folder=DATA"),
      "dev.tsv",
      names,
    )
    for folder, name, names in (
      ("cola", "cola", {"label", "probability"}),
      ("rte", "rte", {"label", "probability"}),
      ("sts_b", "stsb", {"score"}),
    )
  },
  "wnut17": (
    of_files("ner", "conll"),
    "test.conll",
    {"words", "tags", "entities"},
  ),
  "xquad_en": (
    (*of_files("squad", "json"), *OF_SPANS),
    "dev.json",
    {"id", "answer", "alternatives"},
  ),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("public") / "bundle")


def command(name, *arguments):
  environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
  done = subprocess.run(
    [sys.executable, "-m", f"launch.{name}", *arguments],
    capture_output=True,
    text=True,
    check=False,
    cwd=ROOT,
    env=environment,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  return done.stdout


@pytest.mark.full
@pytest.mark.parametrize("name", DATA_SETS)
def test_a_data_set_trains_is_scored_and_is_predicted(
  name, real_data, bundle, tmp_path
):
  flags, file, names = DATA_SETS[name]
  folder = real_data / name
  command(
    "finetune",
    *(flag.replace("DATA", str(folder)) for flag in flags),
    *(*FEW, f"--bundle={bundle}", f"--workdir={tmp_path}/work"),
  )
  model = f"--bundle={tmp_path}/work/model"
  assert "examples" in command("evaluate", model, "--split=dev", FEW[-1])
  output = tmp_path / "out.jsonl"
  command("predict", model, f"--input={folder / file}", f"--output={output}")
  with output.open(encoding="utf-8") as stream:
    lines = [json.loads(line) for line in stream]
  assert all(names <= {*line} for line in lines)
  numbers = [line["line"] for line in lines]
  assert numbers == sorted(set(numbers))
  if "tags" in names:
    assert all(len(line["words"]) == len(line["tags"]) for line in lines)
  if name == "cola":  # no header line: the first sentence has an answer, too
    assert numbers[0] == 1
    assert len(lines) == len((folder / file).read_text().splitlines())
  if "id" in names:
    answers = tmp_path / "out.json"
    command("predict", model, f"--input={folder / file}", f"--output={answers}")
    assert json.loads(answers.read_text()) == {
      line["id"]: line["answer"] for line in lines
    }
