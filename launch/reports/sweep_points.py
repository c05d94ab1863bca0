# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the page of a study shows of the points that trials are probed at."""

from collections.abc import Iterator, Mapping
from typing import Any

from launch.reports import sweep_figures, sweep_tables

_END = "1"
_COLUMNS = (
  *("share of the steps", "arm", "measure", "difference", "95 % interval"),
  *("p, corrected", "conclusion"),
)
# Of the row of a comparison at the end, what the row of a point has.
_SHOWN = ("arm", "measure", *_COLUMNS[3:])
# Metric → arm → seed → curve.
_Curves = dict[str, dict[str, dict[str, Any]]]


def view_points(report: Mapping[str, Any], most: int) -> dict[str, Any]:
  """Return the values that the template uses of the points.

  Args:
    report: the JSON of `report.json`.
    most: panels of a metric at most.
  """
  points = report["points"]
  early = [each for point in points.values() for each in point["comparisons"]]
  return {
    "points": [*_draw(report, most)] if points else [],
    "point_columns": _COLUMNS,
    "point_rows": [
      [share, *_shown(each)]
      for share, point in points.items()
      for each in point["comparisons"]
    ],
    "number_at_points": max((each["comparisons"] for each in early), default=0),
  }


def _shown(comparison: Mapping[str, Any]) -> list[str]:
  row = sweep_tables.compared(comparison)
  cells = dict(zip(sweep_tables.COMPARED, row, strict=True))
  return [cells[column] for column in _SHOWN]


def _draw(report: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
  """Yield the panels of each metric: the baseline's values and an arm's."""
  baseline = report["baseline"]
  places = {**report["points"], _END: report}
  for metric, by_arm in _find_curves(places).items():
    others = [arm for arm in by_arm if arm != baseline]
    first = {baseline: by_arm[baseline]} if baseline in by_arm else {}
    compared = {
      arm: {
        share: each
        for share, place in places.items()
        for each in place["comparisons"]
        if (each["name"], each["metric"]) == (arm, metric)
      }
      for arm in others
    }
    limits = sweep_figures.limits_of(by_arm)
    spread = sweep_figures.spread_of(
      [each for found in compared.values() for each in found.values()]
    )
    shown = {arm: {**first, arm: by_arm[arm]} for arm in others[:most]}
    yield {
      "metric": sweep_tables.words(metric),
      "left_out": ", ".join(others[most:]),
      "panels": [
        (
          sweep_figures.draw_points(
            f"point {metric} {number}",
            curves,
            limits,
            compared.get(arm, {}),
            spread,
          ),
          " and ".join(curves),
        )
        for number, (arm, curves) in enumerate(
          (shown or {baseline: first}).items()
        )
      ],
    }


def _find_curves(places: Mapping[str, Any]) -> _Curves:
  """Return the curves of all metrics that are measured at several points."""
  found: _Curves = {}
  for share, result in places.items():
    for arm, by_metric in result["arms"].items():
      for metric, summary in by_metric.items():
        curves = found.setdefault(metric, {}).setdefault(arm, {})
        for seed, value in zip(result["seeds"], summary["values"], strict=True):
          curve = curves.setdefault(str(seed), {"at": [], "values": []})
          curve["at"].append(float(share))
          curve["values"].append(value)
  return {
    metric: arms
    for metric, arms in found.items()
    if any(
      len(curve["at"]) > 1
      for curves in arms.values()
      for curve in curves.values()
    )
  }
