# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The table has medians, and each goal is said to be met or missed."""

from benchmarks.prediction_goals import (
  BASELINE,
  OURS,
  Measured,
  judge,
  ratios,
  table,
)


def test_the_table_has_medians_and_ratios():
  slow = Measured({1: [9.0, 10, 11], 32: [100]}, [0.1] * 4, [1, 2], [])
  fast = Measured({1: [20.0, 30, 10], 32: [300]}, [0.05] * 4, [1, 3], [])
  text = table({BASELINE: slow, "other": fast}, [1, 32], expected=[1, 3])
  header, _, first, second = text.splitlines()
  assert "texts/s at 32" in header
  cells = [cell.strip() for cell in second.strip("|").split("|")]
  assert cells == [
    *("other", "20", "300", "50.00", "50.00", "2.00  3.00"),
    *("50.00%", "100.00%"),
  ]
  assert "1.00  1.00" in first


def test_goals_are_met_or_missed():
  right = list(range(400))
  lossy = [1, 1, 1, *right[3:]]  # two of 400
  poor = [*right[:390], *[0] * 10]
  found = {
    OURS: Measured({1: [50.0], 32: [90.0]}, [], right, [300.0, 100, 200]),
    BASELINE: Measured({1: [40.0], 32: [100.0]}, [], right, [100.0]),
    "int8 dynamic": Measured({1: [100.0], 32: [240.0]}, [], lossy, [300.0]),
    "int8 static": Measured({1: [400.0], 32: [400.0]}, [], poor, [400.0]),
  }
  lines = list(judge(found, [1, 32], 1000, expected=right))
  assert lines[0] == f"{OURS}: 1,000 tickets take 5.0 s, by 3 turns"
  goals = lines[4:]
  assert [line.partition(":")[0] for line in goals] == [
    *("met", "missed", "met"),
    *("met", "missed", "met"),
    *("missed", "missed", "missed"),
  ]
  assert goals[1] == f"missed: {OURS} at 32: 0.90 × {BASELINE}"
  assert goals[5].endswith(
    "3.00 × PyTorch, float32, goal 2.5; 0.50% of accuracy lost, goal 0.5%"
  )
  unlabeled = "\n".join(judge(found, [1, 32], 0))
  assert "0.50% of the labels change" in unlabeled


def test_our_rates_and_those_of_int8_stand_beside_pytorchs():
  found = {
    OURS: Measured({1: [50.0], 32: [90.0]}, [], [], []),
    BASELINE: Measured({1: [40.0], 32: [100.0]}, [], [], []),
    "int8 static": Measured({1: [100.0], 32: [240.0]}, [], [], []),
    "another": Measured({1: [100.0], 32: [240.0]}, [], [], []),
  }
  made = list(ratios(found, [1, 32]))
  assert [each.what for each in made] == [
    f"{name}, batches of {size}"
    for name in (OURS, "int8 static")
    for size in (1, 32)
  ]
  assert [each.ratio for each in made] == [1.25, 0.9, 2.5, 2.4]
