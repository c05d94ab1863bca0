# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from bertjax.config import ProbesConfig
from bertjax.trials.significance import holm, p_different
from launch.sweep.points import compare_points, describe_points
from launch.sweep.trials import COST, POINTS, Outcome


def make_outcome():
  def result(end, half):
    return {"loss": end, COST: {"steps": 4}, POINTS: {"0.5": {"loss": half}}}

  return Outcome(
    {
      "mlm_nsp": {0: result(1.0, 3.0), 1: result(1.0, 4.0)},
      # Its second trial failed, so that only the first seed is compared.
      "mlm": {0: result(2.0, 5.0)},
    },
    {"mlm-seed1": "no"},
  )


def test_arms_are_compared_at_each_point_by_seed(config):
  config = dataclasses.replace(
    config,
    probes=ProbesConfig(at=(0.5, 1.0)),
    chosen=("mlm_nsp", "mlm"),
  )
  (half,) = compare_points(config, make_outcome(), "mlm_nsp").values()
  assert half.result.seeds == (0,)
  assert half.result.differences["mlm"]["loss"].values == (2.0,)
  title, table, _ = describe_points({"0.5": half})
  assert title.startswith("Earlier")
  (line,) = (line for line in table.splitlines() if "mlm " in line)
  cells = [cell.strip() for cell in line.strip("|").split("|")]
  assert cells[:5] == ["0.5", "mlm", "loss", "5.0000", "+2.0000"]
  assert cells[5:] == ["–", "–", "no spread"]


def test_all_earlier_points_are_corrected_together(config):
  """Who looks at a curve looks at all of its points."""
  rng = np.random.default_rng(0)
  outcome = Outcome({}, {})
  for arm, gain in (("mlm_nsp", 0.0), ("mlm", 0.02), ("nsp_rows", 0.005)):
    for seed in range(4):
      early = {
        share: {name: gain + float(rng.normal(0, 0.01)) for name in ("a", "b")}
        for share in ("0.25", "0.5")
      }
      result = {"a": 1.0, "b": 1.0, COST: {"steps": 4}, POINTS: early}
      outcome.results.setdefault(arm, {})[seed] = result
  points = compare_points(
    dataclasses.replace(
      config,
      probes=ProbesConfig(at=(0.25, 0.5, 1.0)),
      chosen=("mlm_nsp", "mlm", "nsp_rows"),
    ),
    outcome,
    "mlm_nsp",
  )
  found = [each for point in points.values() for each in point.comparisons]
  # Two points, two arms, two measures.
  assert {each.comparisons for each in found} == {8}
  alone = [
    p for each in found if (p := p_different(each.differences)) is not None
  ]
  assert [each.corrected_p for each in found] == pytest.approx(holm(alone))
  saved = points["0.5"].to_json()
  assert {*saved["arms"]} == {"mlm_nsp", "mlm", "nsp_rows"}
  (mlm_a, *_) = saved["comparisons"]
  assert mlm_a["interval"]["low"] < mlm_a["mean"] < mlm_a["interval"]["high"]
  assert mlm_a["sentence"].startswith("mlm ")
  assert "comparisons, 8:" in describe_points(points)[0]


def test_an_end_alone_has_no_table(config):
  assert compare_points(config, make_outcome(), "mlm_nsp") == {}
  assert describe_points({}) == []
