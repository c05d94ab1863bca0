# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learning curves of the trials of a study."""

import json
import math
import shutil

import pytest

from bertjax.trials.store import Trial, TrialStore
from launch.sweep.curves import POINTS, read_curves
from tests.testing.compared import write_finetune, write_lines, write_pretrain

TRIALS = [
  Trial(f"{arm}-seed{seed}", {"arm": arm, "seed": seed})
  for arm in ("a", "b")
  for seed in (0, 1)
]


@pytest.fixture
def store(tmp_path):
  return TrialStore(tmp_path, {"steps": 1})


def test_validation_is_drawn_over_the_tokens_that_were_seen(store):
  for trial in TRIALS[:3]:
    write_pretrain(store.path(trial) / "pretrain")
  curves = read_curves(store, TRIALS, "pretrain")
  assert {*curves} == {"validation mlm_loss", "validation mlm_accuracy"}
  found = curves["validation mlm_loss"]
  assert {arm: [*seeds] for arm, seeds in found.items()} == {
    "a": ["0", "1"],
    "b": ["0"],  # the last trial has no files
  }
  assert found["a"]["1"]["at"] == [8_000, 16_000, 24_000, 32_000]
  assert found["a"]["1"]["values"][0] == pytest.approx(4.4)
  json.dumps(curves, allow_nan=False)


def test_curves_of_a_report_stay_where_the_runs_are_gone(store):
  """Results are kept and the runs are not: their curves are in the report."""
  for trial in TRIALS:
    write_pretrain(store.path(trial) / "pretrain")
  earlier = json.loads(json.dumps(read_curves(store, TRIALS, "pretrain")))
  for trial in TRIALS[1:]:
    shutil.rmtree(store.path(trial) / "pretrain")
  assert read_curves(store, TRIALS, "pretrain", earlier) == earlier
  # Of the trials that are asked for, and those that were there.
  assert [
    *read_curves(store, TRIALS[2:], "pretrain", earlier).popitem()[1]
  ] == ["b"]
  assert read_curves(store, TRIALS[1:], "pretrain") == {}


def test_training_is_drawn_where_validation_has_one_point(store):
  folder = write_pretrain(store.path(TRIALS[0]) / "pretrain")
  lines = [
    {"step": step, "split": "train", "tokens": 10 * step, "mlm_loss": 1 / step}
    for step in range(1, 3 * POINTS + 2)
  ]
  lines[5]["mlm_loss"] = math.nan
  last = {"step": 301, "split": "validation", "mlm_loss": 2.0}
  write_lines(folder / "metrics.jsonl", [*lines, last])
  curves = read_curves(store, TRIALS, "pretrain")
  assert {*curves} == {"training mlm_loss"}
  curve = curves["training mlm_loss"]["a"]["0"]
  assert len(curve["at"]) <= POINTS
  assert curve["at"][-1] == 3_010
  assert curve["values"][-1] == 1 / 301
  json.dumps(curves, allow_nan=False)


def test_fine_tuning_is_drawn_over_its_steps(store):
  write_finetune(store.path(TRIALS[1]), [0.5])
  assert read_curves(store, TRIALS, "finetune") == {
    "dev accuracy": {"a": {"1": {"at": [10, 20], "values": [0.5, 0.5]}}}
  }
