# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

from bertjax.config import ProbesConfig
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
  assert half.seeds == (0,)
  assert half.differences["mlm"]["loss"].values == (2.0,)
  title, table, _ = describe_points({"0.5": half})
  assert title.startswith("Earlier")
  (line,) = (line for line in table.splitlines() if "mlm " in line)
  cells = [cell.strip() for cell in line.strip("|").split("|")]
  assert cells == ["0.5", "mlm", "loss", "5.0000", "+2.0000"]


def test_an_end_alone_has_no_table(config):
  assert compare_points(config, make_outcome(), "mlm_nsp") == {}
  assert describe_points({}) == []
