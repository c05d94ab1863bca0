# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Last and best values, speed, and differences by seed."""

import dataclasses

import pytest

from launch.compare.measures import compare_scores, measure, tokens_at
from launch.compare.runs import read_run
from tests.testing.compared import write_finetune, write_pretrain


def test_a_pretraining_run_has_its_last_and_best_values(tmp_path):
  runs = [
    read_run(write_pretrain(tmp_path / "a")),
    read_run(write_pretrain(tmp_path / "b", {"batch_size": 16}, loss=3.0)),
  ]
  rows = dict(measure(runs))
  assert rows["tokens seen"] == ("32,000", "64,000")
  assert rows["validation mlm loss"] == ("4.1000", "3.0750")
  assert rows["best validation mlm loss"] == ("4.1000 at 40", "3.0750 at 40")
  assert rows["best validation mlm accuracy"][0] == "0.4000 at 40"
  assert rows["nats below it"] == ("2.4000", "3.4250")
  assert rows["tokens a second"] == ("1,025", "1,025")
  # Neither has such a loss.
  assert "validation sop accuracy" not in rows


def test_the_best_value_is_of_the_rows_of_the_last_phase(tmp_path):
  run = read_run(write_pretrain(tmp_path / "a"))
  lines = [
    {"step": 10, "seq_length": 32, "mlm_loss": 1.0},
    {"step": 20, "seq_length": 64, "mlm_loss": 3.0},
    {"step": 30, "seq_length": 64, "mlm_loss": 3.5},
  ]
  run = dataclasses.replace(run, validation=lines)
  assert dict(measure([run]))["best validation mlm loss"] == ("3.0000 at 20",)


def test_tokens_between_two_lines_are_in_proportion(tmp_path):
  run = read_run(write_pretrain(tmp_path / "a"))
  assert tokens_at(run, [10, 15, 40]) == [8_000, 12_000, 32_000]


def test_finetuning_runs_are_compared_by_common_seeds(tmp_path):
  first = [0.50, 0.54, 0.52]
  runs = [
    read_run(write_finetune(tmp_path / "a", first)),
    read_run(write_finetune(tmp_path / "b", [0.641, 0.60], seeds=(1, 0))),
    read_run(write_finetune(tmp_path / "c", [0.7], seeds=(9,))),
  ]
  (found,) = compare_scores(runs, "ABC")
  assert found.metric == "test_accuracy"
  assert found.differences == pytest.approx((0.10, 0.101))
  assert found.sentence.startswith("B has a higher test accuracy than A by 0.1")
  rows = dict(measure(runs))
  assert rows["test accuracy"] == (
    *("0.5200 ± 0.0200", "0.6205 ± 0.0290", "0.7000"),
  )
  assert rows["learning rate"][0] == "0.001 of 1"
