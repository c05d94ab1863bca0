# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Whose a folder of fine-tuning is, and what its trials share."""

import json
import shutil

import pytest

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import (
  ComputeConfig,
  FinetuneConfig,
  FinetuneOptimizerConfig,
  TaskConfig,
)
from bertjax.finetune import experiment
from launch import finetune
from launch.run import ownership
from tests.testing import small

pytestmark = pytest.mark.usefixtures("small_programs")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A folder with a bundle and a table."""
  folder = tmp_path_factory.mktemp("place")
  small.make_bundle(folder / "bundle")
  small.write_table(folder / "table.jsonl", small.make_texts(60, 0))
  return folder


def tune(place, workdir, compute=None, seeds=2):
  config = FinetuneConfig(
    steps=2,
    batch_size=8,
    evaluation_batch_size=16,
    evaluations=1,
    seq_length=12,
    learning_rates=(1e-2,),
    seeds=seeds,
    optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
    task=TaskConfig(kind="table", train=str(place / "table.jsonl")),
    compute=compute or ComputeConfig(),
  )
  return finetune.run(config, str(place / "bundle"), str(workdir))


@pytest.mark.parametrize("at", [pytest.param(0, marks=pytest.mark.full), 1])
def test_a_run_that_was_taken_over_writes_nothing_more(
  place, tmp_path, monkeypatch, at
):
  """Where locks do not reach, and another run begins during a trial."""
  real, done = experiment.run_trial, []

  def run_trial(*given, **named):
    result = real(*given, **named)
    if len(done) == at:
      (tmp_path / ownership.OWNER).write_text(
        json.dumps({"id": "x", "host": "h", "pid": 1, "since": "now"})
      )
    done.append(result)
    return result

  monkeypatch.setattr(experiment, "run_trial", run_trial)
  with pytest.raises(ownership.TakenOver, match=r"over \(pid 1 on h"):
    tune(place, tmp_path)
  assert len(done) == at + 1
  assert len([*tmp_path.rglob("result*")]) == at
  assert not (tmp_path / "model").exists()


def test_a_dtype_is_part_of_an_arm(place, tmp_path, monkeypatch, caplog):
  """Its seeds are compared, and a dtype changes the digits of their scores."""
  results = tune(place, tmp_path)
  monkeypatch.setattr(experiment, "run_trial", None)
  narrow = ComputeConfig("bfloat16")
  refused = r"compute\.dtype='float32', not 'bfloat16'"
  with pytest.raises(ValueError, match=refused):
    tune(place, tmp_path, narrow)
  # The folder of an earlier version does not know it.
  path = tmp_path / "identity.json"
  identity = json.loads(path.read_text())
  del identity["compute"]
  path.write_text(json.dumps(identity))
  assert tune(place, tmp_path) == results
  assert "does not know" not in caplog.text
  assert tune(place, tmp_path, narrow) == results
  assert "had instead of compute.dtype='bfloat16'" in caplog.text


def test_report_and_model_say_the_scores_of_seeds_that_are_added(
  place, tmp_path, monkeypatch
):
  """Also where the best model stays the same, and nothing trains."""
  first = tune(place, tmp_path, seeds=1)
  model = tmp_path / "model"
  before = read_bundle_info(model)
  path = tmp_path / "trials/rate0.01-seed1/result.json"
  saved = json.loads(
    (tmp_path / "trials/rate0.01-seed0/result.json").read_text()
  )
  saved["settings"]["seed"] = 1
  saved["result"]["dev"]["accuracy"] = -1.0  # never the best
  path.parent.mkdir()
  path.write_text(json.dumps(saved))
  monkeypatch.setattr(experiment, "run_trial", None)
  second = tune(place, tmp_path, seeds=2)
  after = read_bundle_info(model)
  assert after.leaves == before.leaves
  assert after.details.trial == before.details.trial
  for result, info in ((first, before), (second, after)):
    accuracy = info.details.evaluation["dev"]["accuracy"]
    assert accuracy["values"] == [*result.scores.dev["accuracy"].values]
  assert "<b>2</b><span>seeds" in (tmp_path / finetune.REPORT).read_text()


def test_a_model_has_the_step_and_the_temperature_of_its_own_run(
  place, tmp_path
):
  """A result that is stored may be of a run that rounded otherwise."""
  tune(place, tmp_path, seeds=1)
  model = tmp_path / "model"
  before = read_bundle_info(model).details
  path = tmp_path / "trials/rate0.01-seed0/result.json"
  saved = json.loads(path.read_text())
  saved["result"]["best_step"] = 1
  saved["result"]["calibration"]["temperature"] = 77.0
  path.write_text(json.dumps(saved))
  # A model that is saved stays; one that is not is trained again.
  for again in range(2):
    if again:
      shutil.rmtree(model)
    else:
      saved["result"]["dev"]["accuracy"] = 0.5  # so that it is written anew
      path.write_text(json.dumps(saved))
    tune(place, tmp_path, seeds=1)
    after = read_bundle_info(model).details
    assert after.step == before.step
    assert after.task["temperature"] == before.task["temperature"]
    assert after.evaluation["dev"]["accuracy"]["values"] == [0.5]
