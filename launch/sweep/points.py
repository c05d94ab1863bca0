# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compare the arms of a study at the earlier points that trials are probed at.

The question of a study is about its end, whose comparisons are corrected for
their own number. Those of all earlier points, arms and metrics are corrected
together: who looks at a whole curve looks at all of them.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from bertjax.config import SweepConfig
from bertjax.sweep import study
from bertjax.sweep.comparison import (
  SweepResult,
  compare,
  compare_with_baseline,
)
from bertjax.trials.comparison import Comparison, correct
from bertjax.trials.markdown import cell, markdown
from launch.sweep.probes import share_name
from launch.sweep.trials import Outcome, shared_seeds


@dataclasses.dataclass(frozen=True)
class PointResult:
  """The arms at an earlier point.

  Attributes:
    result: their values and differences.
    comparisons: of each arm with the baseline in each metric, corrected for the
      number of those at all earlier points.
  """

  result: SweepResult
  comparisons: tuple[Comparison, ...]

  def to_json(self) -> dict[str, Any]:
    """Return both as JSON values."""
    comparisons = [each.to_json() for each in self.comparisons]
    return {**self.result.to_json(), "comparisons": comparisons}


def compare_points(
  config: SweepConfig, outcome: Outcome, baseline: str
) -> dict[str, PointResult]:
  """Return {share of the steps: comparison} of the earlier points."""
  results = {
    share: compare(shared_seeds(outcome.at(share), config.chosen), baseline)
    for share in map(share_name, config.probes.at[:-1])
  }
  if not results:
    return {}
  groups = study.equal_rows(config)
  alone = {
    share: compare_with_baseline(result, groups)
    for share, result in results.items()
  }
  corrected = iter(correct([*itertools.chain(*alone.values())]))
  return {
    share: PointResult(
      result, tuple(itertools.islice(corrected, len(alone[share])))
    )
    for share, result in results.items()
  }


def describe_points(points: Mapping[str, PointResult]) -> list[str]:
  """Return the means at each point and the differences, as Markdown."""
  if not points:
    return []
  rows = []
  for share, point in points.items():
    found = {(each.name, each.metric): each for each in point.comparisons}
    for arm, by_metric in point.result.arms.items():
      for metric, values in by_metric.items():
        other = point.result.differences.get(arm, {}).get(metric)
        difference = cell(vars(other), "+") if other else cell(None)
        significance = _significance(found.get((arm, metric)))
        rows.append(
          [share, arm, metric, str(values), difference, *significance]
        )
  header = [
    *("share of the steps", "arm", "metric", "mean ± std"),
    *("to the baseline", "95 % interval", "p, corrected", "conclusion"),
  ]
  number = max(
    (each.comparisons for p in points.values() for each in p.comparisons),
    default=0,  # losses are of other rows, and nothing else is measured
  )
  return [
    "Earlier in the trials, with p by Holm's correction for the number of "
    f"comparisons, {number}:\n",
    markdown(header, rows),
    "",
  ]


def _significance(found: Comparison | None) -> list[str]:
  """Return interval, p and conclusion; dashes where nothing is compared."""
  if found is None:
    return [cell(None)] * 3
  p = found.corrected_p
  return [
    cell(None) if found.interval is None else str(found.interval),
    cell(None) if p is None else f"{p:.2g}",
    found.conclusion,
  ]
