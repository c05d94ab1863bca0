# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the page of a study."""

from launch.reports import sweep_tables

SUMMARY = {"mean": 0.5, "std": 0.1, "values": [0.4, 0.6]}
COMPARISON = {
  "name": "mlm",
  "metric": "mlm_loss",
  "differences": [0.01, 0.03],
  "mean": 0.02,
  "interval": {"low": -0.1, "high": 0.14, "level": 0.95},
  "corrected_p": 0.0004,
  "bootstrap": {"seeds": {"low": 0.01, "high": 0.03, "level": 0.95}},
  "effect": None,
  "noise": 0.4,
  "seeds_needed": 2,
  "conclusion": "undecided",
}


def test_a_comparison_is_a_row_of_its_columns():
  row = dict(
    zip(sweep_tables.COMPARED, sweep_tables.compared(COMPARISON), strict=True)
  )
  assert row["difference"] == "+0.0200"
  assert row["95 % interval"] == "-0.1000 to +0.1400"
  assert row["95 %, seeds drawn"] == "+0.0100 to +0.0300"
  assert row["to seed noise"] == "+0.40"
  assert row["p, corrected"] == "< 0.001"
  # Two seeds did not do, whatever their spread says.
  assert row["seeds needed"] == "3"
  assert row["conclusion"] == "not distinguishable"


def test_a_comparison_of_one_seed_has_dashes():
  alone = {
    **COMPARISON,
    "differences": [0.02],
    **dict.fromkeys(("interval", "corrected_p", "noise", "seeds_needed")),
    "bootstrap": {},
    "conclusion": "no spread",
  }
  row = sweep_tables.compared(alone)
  assert row.count("–") == 6
  assert row[-1] == "no spread"


def test_an_arm_stands_beside_a_published_row_unless_it_has_no_trial():
  report = {"answer": {"metric": "probe"}, "arms": {"a": {"probe": SUMMARY}}}
  rows = [
    {"name": "both", "arms": ["a", "lost"], "values": [90.4]},
    {"name": "none", "arms": [], "values": [80.0]},
  ]
  table = {"source": "S", "about": "A", "columns": ["SQuAD"], "rows": rows}
  view = sweep_tables.view_published(report, table)
  assert view["columns"][-1] == "SQuAD, published"
  assert view["rows"] == [
    ["both", "a, lost", "0.5000 ± 0.1000", "90.4"],
    ["none", "–", "–", "80.0"],
  ]


def test_costs_are_planned_ones_and_means_of_what_was_measured():
  work = {"tokens": 1000.4, "own": 900.0, "random": 50.0, "flops": 1.5e12}
  trials = [
    {"trial": f"a{n}", "arm": "a", "state": "done", "cost": {"steps": 9}}
    for n in range(2)
  ]
  trials.append({"trial": "a2", "arm": "a", "state": "failed", "cost": {}})
  report = {
    "baseline": "a",
    "changes": {"a": {}, "lost": {}},
    "trials": trials,
    "planned_costs": {
      arm: {"parameters": 4_433_468, "steps": 40, "work": work}
      for arm in ("a", "lost")
    },
    "tokens_seen": {"a": {"0": 1000, "1": 1010}},
  }
  timing = {"trials": {"a0": 10.0, "a1": 20.0}, "seconds": 30.0}
  columns = sweep_tables.cost_columns(report)
  first, lost = sweep_tables.costs(report, timing)
  assert dict(zip(columns, first, strict=True)) == {
    "arm": "a",
    "trials done": "2",
    "parameters": "4,433,468",
    "steps": "40",
    "tokens": "1,000",
    "own": "900",
    "random": "50",
    "FLOPs": "1.500e+12",
    "tokens read": "1,005",
    "seconds": "15",
  }
  assert lost[-2:] == ["–", "–"]
  tuned = {**report, "planned_costs": {}, "tokens_seen": {}}
  assert sweep_tables.costs(tuned, timing)[0] == ["a", "2", "9", "15"]
