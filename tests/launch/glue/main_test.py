# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""All tasks of GLUE that there are, one arm each, and their predictions."""

import dataclasses
import json
import shutil

import pytest

from bertjax.config import FinetuneConfig, from_mapping
from bertjax.finetune import experiment
from configs.finetune import get_config
from data_pipelines.tasks.glue_tasks import GLUE
from launch.glue import __main__ as glue
from launch.preflight.policy import Policy
from tests.testing import glue_folders, small
from tests.testing.commands import run_command

pytestmark = pytest.mark.usefixtures("small_programs")

ROWS = 24
CONFIG = dataclasses.replace(
  from_mapping(FinetuneConfig, get_config("task=glue").to_dict()),
  steps=1,
  batch_size=8,
  evaluation_batch_size=16,
  evaluations=1,
  seq_length=16,
  learning_rates=(1e-3,),
  seeds=2,
)
# The texts are few, and so are the labels.
POLICY = Policy(allow=frozenset(["shared_texts", "contradicting_texts"]))


def make_text(name, row):
  del name
  return small.make_texts(row + 1, row)[row][0]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A bundle, and the folders of three tasks and of the diagnostic set."""
  folder = tmp_path_factory.mktemp("place")
  small.make_bundle(folder / "bundle")
  data = glue_folders.make(folder / "data", ROWS, make_text)
  for name, task in GLUE.items():
    if name not in {"cola", "stsb", "mnli", "ax"}:
      shutil.rmtree(data / task.title)
  # A file that is cut in two.
  (data / "CoLA/train.tsv").write_bytes(b"gj04\t1\t\tcaf\xe9\n")
  return folder


@pytest.fixture(scope="module")
def failed(place):
  """The message at the end of a run with a task that fails."""
  with pytest.raises(ValueError, match=r"\S") as caught:
    glue.run(
      CONFIG,
      str(place / "bundle"),
      str(place / "data"),
      str(place / "work"),
      write_test=True,
      policy=POLICY,
    )
  return str(caught.value)


def test_a_task_that_fails_does_not_stop_the_others(place, failed):
  assert failed.startswith(
    "1 of 3 tasks failed, and the others are done: CoLA: "
  )
  assert "train.tsv:1 is not UTF-8" in failed
  saved = json.loads((place / "work/glue.json").read_text())
  assert list(saved["tasks"]) == ["stsb", "mnli"]
  assert list(saved["tasks"]["stsb"]["dev"]) == ["pearson", "spearman", "loss"]
  assert saved["tasks"]["mnli"]["examples"] == {
    "train": ROWS,
    "dev": ROWS,
    "test": ROWS,
  }


def test_the_page_names_every_task(place, failed):
  del failed
  page = (place / "work/glue.md").read_text()
  assert f"SST-2, MRPC, QQP, QNLI, RTE, WNLI: no files in {place}/data." in page
  assert "CoLA: " in page
  (row,) = [line for line in page.split("\n") if line.startswith("| MNLI-mm")]
  assert " ± " in row


def test_predictions_are_written_for_every_row_of_the_test_splits(
  place, failed
):
  del failed
  found = {
    path.name: path.read_text().splitlines()
    for path in (place / "work/submission").iterdir()
  }
  assert set(found) == {"STS-B.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"}
  for lines in found.values():
    assert lines[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in lines[1:]] == [
      str(index) for index in range(ROWS)
    ]
  labels = {line.split("\t")[1] for line in found["AX.tsv"][1:]}
  assert labels <= {*GLUE["mnli"].labels}
  scores = [float(line.split("\t")[1]) for line in found["STS-B.tsv"][1:]]
  assert all(0 <= score <= 5 for score in scores)


def test_a_rerun_trains_nothing(place, failed, monkeypatch):
  del failed
  page = (place / "work/glue.md").read_text()
  monkeypatch.setattr(experiment, "run_trial", None)
  results = glue.run(
    CONFIG,
    str(place / "bundle"),
    str(place / "data"),
    str(place / "work"),
    ("stsb", "mnli"),
    policy=POLICY,
  )
  assert list(results) == ["stsb", "mnli"]
  rows = page.split("\n\n", maxsplit=1)[0]
  assert (place / "work/glue.md").read_text().startswith(rows)


def test_a_config_of_a_task_has_what_its_overlay_sets():
  config = dataclasses.replace(CONFIG, steps=0)
  cola = glue.task_config(config, "cola", "x")
  assert (cola.task.kind, cola.task.name, cola.task.folder) == (
    "glue",
    "cola",
    "x",
  )
  assert (cola.epochs, cola.metric) == (10.0, "matthews")
  assert glue.task_config(config, "qqp", "x").epochs == 3.0
  # What the user gives counts for all.
  given = dataclasses.replace(config, epochs=1.0, metric="accuracy")
  assert glue.task_config(given, "cola", "x").epochs == 1.0
  assert glue.task_config(given, "cola", "x").metric == "accuracy"
  with_steps = dataclasses.replace(config, steps=7)
  assert glue.task_config(with_steps, "cola", "x").steps == 7


@pytest.mark.parametrize(
  ("tasks", "words"),
  [
    (["sst"], "--tasks=sst; give some of cola,sst2"),
    (["ax"], "--tasks=ax; give some of"),
    (["rte", "qnli"], "has no folder of RTE, QNLI; give the folder"),
  ],
)
def test_tasks_that_are_not_there_are_one_line(place, tmp_path, tasks, words):
  with pytest.raises(ValueError, match=words):
    glue.run(
      CONFIG,
      str(place / "bundle"),
      str(place / "data"),
      str(tmp_path / "work"),
      tasks,
    )
  assert not (tmp_path / "work").exists()


def test_the_documented_command_needs_no_workdir(tmp_path):
  done = run_command("launch.glue", "--bundle=b", "--data=d", cwd=tmp_path)
  assert done.returncode
  assert done.stderr.startswith("error: b is not a bundle"), done.stderr
  assert not (tmp_path / "runs").exists()
