# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is read of a workdir, and which folders are no run."""

import json
import pathlib

import pytest

from launch.compare.runs import read_run
from tests.testing.compared import write_finetune, write_pretrain

OLD = pathlib.Path(__file__).parents[2] / "fixtures/format_1"


def test_a_pretraining_run_is_read_with_its_lines(tmp_path):
  run = read_run(write_pretrain(tmp_path / "run", {"optimizer.beta2": 0.98}))
  assert run.kind == "pretrain"
  assert run.fields["optimizer.beta2"] == 0.98
  assert (run.step, run.tokens) == (40, 32_000)
  assert [line["step"] for line in run.validation] == [10, 20, 30, 40]
  assert len(run.timing) == 4
  # Without a checkpoint and a bundle, no more is known of it.
  assert run.facts == {}
  assert run.versions == {}


def test_a_line_that_is_being_written_is_left_out(tmp_path):
  folder = write_pretrain(tmp_path / "run")
  with (folder / "metrics.jsonl").open("a") as file:
    file.write('{"step": 50, "spl')
  assert read_run(folder).step == 40
  with (folder / "metrics.jsonl").open("a") as file:
    file.write("\n")
  with pytest.raises(ValueError, match=r"metrics\.jsonl has a line that is no"):
    read_run(folder)


def test_runs_of_earlier_versions_are_read():
  run = read_run(OLD / "checkpoint")
  assert run.fields["batch_size"] == 8
  assert {"store", "tokenizer"} <= run.facts.keys()
  assert len(run.facts["store"]) == 12
  tuned = read_run(OLD / "classifier")
  assert tuned.result is not None
  assert tuned.curves.keys() == {0, 1}
  assert tuned.versions["bertjax"]
  assert len(tuned.facts["weights"]) == 12


def test_a_finetuning_run_has_a_curve_for_each_seed(tmp_path):
  run = read_run(write_finetune(tmp_path / "run", [0.5, 0.75]))
  assert run.kind == "finetune"
  assert run.curves[1][-1] == {"step": 20, "accuracy": 0.75}
  assert run.facts["examples.dev"] == "b" * 12


@pytest.mark.parametrize(
  ("files", "message"),
  [
    (None, "is no folder; give the --workdir of a run"),
    ({}, "is no run: it has neither the metrics.jsonl of pre-training nor"),
    ({"bundle.json": "{}"}, "is no run: .*, for example "),
    ({"identity.json": '{"finetune": {}}'}, "is a sweep, .*NAME/pretrain$"),
    (
      {"identity.json": '{"finetune": {}, "trains": "finetune"}'},
      "is a sweep, whose results.md .*/trials/NAME$",
    ),
    ({"identity.json": '{"steps": 1}'}, "has no results.json yet"),
    ({"metrics.jsonl": ""}, r"has neither config\.json nor a checkpoint"),
    ({"identity.json": "{"}, r"identity\.json cannot be read"),
  ],
)
def test_a_folder_that_is_no_run_is_refused_in_one_line(
  tmp_path, files, message
):
  folder = tmp_path / "folder"
  for name, text in (files or {}).items():
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
  if files == {}:
    folder.mkdir()
  with pytest.raises(ValueError, match=message) as error:
    read_run(folder)
  assert "\n" not in str(error.value)


def test_results_of_a_newer_version_are_refused(tmp_path):
  folder = write_finetune(tmp_path / "run", [0.5])
  saved = json.loads((folder / "results.json").read_text())
  (folder / "results.json").write_text(json.dumps({**saved, "version": 9}))
  with pytest.raises(ValueError, match="has version 9"):
    read_run(folder)
