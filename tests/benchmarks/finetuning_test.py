# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""All ways to train take turns, and the table compares them by seed."""

import pytest

from benchmarks import finetuning
from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  TaskConfig,
)
from tests.testing import small

BATCH = 8


@pytest.fixture(scope="module")
def ways(tmp_path_factory, small_programs):
  del small_programs
  folder = tmp_path_factory.mktemp("ways")
  rows = [
    (f"{text} {number}", label)
    for number, (text, label) in enumerate(small.make_texts(48, 0))
  ]
  config = FinetuneConfig(
    task=TaskConfig(
      kind="table", train=small.write_table(folder / "train.jsonl", rows)
    ),
    seq_length=16,
    batch_size=BATCH,
    evaluation_batch_size=BATCH,
    steps=4,
    optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
  )
  return finetuning.make_ways(config, small.make_bundle(folder / "bundle"))


def test_all_ways_are_timed_in_turns(ways):
  seconds = finetuning.measure(ways, steps=1, turns=2)
  assert list(seconds) == [
    "one example a row",
    "packed",
    "packed, lower half frozen",
    "packed, 5 seeds at once",
  ]
  for spent in seconds.values():
    assert len(spent) == 2
    assert min(spent) > 0
  assert ways["one example a row"].rows == BATCH
  assert [way.seeds for way in ways.values()] == [1, 1, 1, 5]


def test_the_table_has_medians_and_ratios(ways):
  del ways
  idle = lambda steps: None
  made = {
    "slow": finetuning.Way(32, idle),
    "fast": finetuning.Way(8, idle, seeds=5),
  }
  seconds = {"slow": [1.0, 4.0, 2.0], "fast": [0.5, 1.0, 1.5]}
  *_, slow, fast = finetuning.table(made, seconds, 32).splitlines()
  cells = lambda line: [cell.strip() for cell in line.strip("|").split("|")]
  assert cells(slow) == ["slow", "32", "2.000", "16", "1.00"]
  assert cells(fast) == ["fast", "8", "1.000", "32", "0.50"]
