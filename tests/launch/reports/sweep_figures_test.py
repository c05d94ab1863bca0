# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the page of a study."""

import pytest

from launch.reports import sweep_figures
from tests.testing.studies import HOSTILE


def comparison(**fields):
  return {
    "name": "mlm",
    "baseline": "mlm_nsp",
    "metric": "mlm_loss",
    "differences": [0.01, 0.03],
    "mean": 0.02,
    "interval": {"low": -0.1, "high": 0.14, "level": 0.95},
    "margin": None,
    "conclusion": "undecided",
    **fields,
  }


def test_a_forest_has_a_line_for_each_arm_and_one_at_no_difference():
  drawn = sweep_figures.draw_forest(
    "one", [comparison(), comparison(name="sop", conclusion="different")]
  )
  for words in ("mlm", "sop", "mlm loss minus that of mlm_nsp"):
    assert f">{words}</text>" in drawn
  plain = sweep_figures.draw_forest("one", [comparison()])
  with_margin = sweep_figures.draw_forest("one", [comparison(margin=0.05)])
  assert with_margin.count("<path") > plain.count("<path")


def test_one_seed_is_a_dot_without_an_interval():
  drawn = sweep_figures.draw_forest(
    "one", [comparison(differences=[0.02], interval=None)]
  )
  assert drawn.count("var(--first)") < sweep_figures.draw_forest(
    "one", [comparison()]
  ).count("var(--first)")


def test_a_curve_of_one_point_is_a_dot():
  def dots(points):
    curve = {"0": {"at": points, "values": [1.0] * len(points)}}
    drawn = sweep_figures.draw_curves("c", {"a": curve}, (0, 2), "steps")
    return drawn.count("<use")

  # Ticks are drawn in the same way; the legend repeats the dot.
  assert dots([10]) == dots([9, 10]) + 2


def test_names_that_look_like_formulas_are_names():
  for name in (HOSTILE, "$", "$a_$", "a$b$c"):
    drawn = sweep_figures.draw_forest("one", [comparison(name=name)])
    assert "<script" not in drawn
    assert "$" in drawn


def test_a_band_reaches_from_the_lowest_to_the_highest_seed():
  curve = {
    "0": {"at": [10, 20, 30], "values": [3.0, 2.0, 1.0]},
    "1": {"at": [10, 20], "values": [4.0, 3.0]},  # as far as it has come
  }
  one = {"0": curve["0"]}
  limits = sweep_figures.limits_of({"a": curve, "b": one})
  assert limits == (1.0, 4.0)
  drawn = sweep_figures.draw_curves(
    "one", {"a": curve, "b": one}, limits, "tokens seen"
  )
  assert ">tokens seen</text>" in drawn
  assert ">20</text>" in drawn
  assert drawn.count("fill-opacity: 0.2") == 1
  assert "var(--second)" in drawn


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_curve_of_one_point_is_drawn(value):
  curve = {"0": {"at": [10], "values": [value]}}
  drawn = sweep_figures.draw_curves("one", {"a": curve}, (value, value), "x")
  assert drawn.startswith("<svg")


def test_many_tokens_are_counted_in_thousands_and_millions():
  curve = {"0": {"at": [0, 2_000_000], "values": [3.0, 2.0]}}
  drawn = sweep_figures.draw_curves("one", {"a": curve}, (2.0, 3.0), "tokens")
  assert ">2\u00a0M</text>" in drawn


def test_points_show_the_difference_with_its_interval_below_the_curves():
  curve = {
    "0": {"at": [0.5, 1.0], "values": [1.0, 2.0]},
    "1": {"at": [0.5, 1.0], "values": [1.5, 2.5]},
  }
  curves = {"mlm_nsp": curve, "mlm": curve}
  found = {"0.5": comparison(), "1": comparison(conclusion="different")}
  spread = sweep_figures.spread_of([*found.values()])
  assert spread == (-0.1, 0.14)
  drawn = sweep_figures.draw_points("one", curves, (1.0, 2.5), found, spread)
  for words in ("difference", "share of the steps", "½", "mlm_nsp"):
    assert f">{words}</text>" in drawn
  alone = {
    share: comparison(differences=[0.02], interval=None) for share in found
  }
  spread = sweep_figures.spread_of([*alone.values()])
  assert spread == (0.0, 0.02)
  bare = sweep_figures.draw_points("one", curves, (1.0, 2.5), alone, spread)
  assert bare.count("var(--second)") < drawn.count("var(--second)")
  without = sweep_figures.draw_points("one", curves, (1.0, 2.5), {}, (0, 0))
  assert ">difference</text>" not in without
