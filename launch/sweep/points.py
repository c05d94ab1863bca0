# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compare the arms of a study at the earlier points that trials are probed at.

Differences there are not tested: the question of a study is about its end.
"""

from collections.abc import Mapping

from bertjax.config import SweepConfig
from bertjax.sweep.comparison import SweepResult, compare
from bertjax.trials.markdown import cell, markdown
from launch.sweep.probes import share_name
from launch.sweep.trials import Outcome, shared_seeds


def compare_points(
  config: SweepConfig, outcome: Outcome, baseline: str
) -> dict[str, SweepResult]:
  """Return {share of the steps: comparison} of the earlier points."""
  return {
    share: compare(shared_seeds(outcome.at(share), config.chosen), baseline)
    for share in map(share_name, config.probes.at[:-1])
  }


def describe_points(points: Mapping[str, SweepResult]) -> list[str]:
  """Return the means at each point and the differences, as Markdown."""
  if not points:
    return []
  rows = []
  for share, result in points.items():
    for arm, by_metric in result.arms.items():
      for metric, values in by_metric.items():
        other = result.differences.get(arm, {}).get(metric)
        difference = cell(vars(other), "+") if other else cell(None)
        rows.append([share, arm, metric, str(values), difference])
  header = ["share of the steps", "arm", "metric", "mean ± std"]
  return [
    "Earlier in the trials:\n",
    markdown([*header, "to the baseline"], rows),
    "",
  ]
