# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The arms of a sweep in numbers: summaries, and differences by seed."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertjax.objectives.pretraining import SUMMARY_METRICS
from bertjax.sweep.findings import StudyFinding
from bertjax.trials.comparison import Comparison, correct
from bertjax.trials.comparison import compare as compare_runs
from bertjax.trials.intervals import Scored
from bertjax.trials.markdown import cell, markdown
from bertjax.trials.results import VERSION, JsonResult
from bertjax.trials.statistics import Summary, paired, summarize

# Seed → metric → value, for one arm.
Scores = Mapping[int, Mapping[str, float]]
# Arm → metric → summary over the seeds.
Summaries = Mapping[str, Mapping[str, Summary]]
# (arm, metric) → differences to the baseline, [seeds, test examples], or what
# computes them for a draw of examples.
ByExample = Mapping[tuple[str, str], NDArray[np.float64] | Scored]


@dataclasses.dataclass(frozen=True)
class SweepResult(JsonResult):
  """The comparison of the arms, the content of `results.json`.

  Attributes:
    baseline: arm that is subtracted from the others.
    seeds: seeds of the runs, in the order of all values.
    arms: summaries of each arm.
    differences: summaries of the paired differences to the baseline, for each
      other arm.
    findings: what the trials warned of.
  """

  baseline: str
  seeds: tuple[int, ...]
  arms: Summaries
  differences: Summaries
  findings: tuple[StudyFinding, ...] = ()

  def to_json(self) -> dict[str, Any]:
    """Return the JSON of a results file, with the intervals of differences."""
    intervals = {
      arm: {name: each.interval() for name, each in by_metric.items()}
      for arm, by_metric in self.differences.items()
    }
    saved = {"version": VERSION, **super().to_json()}
    return {**saved, "intervals_95": json.loads(json.dumps(intervals))}


def compare(scores: Mapping[str, Scores], baseline: str) -> SweepResult:
  """Summarize every arm, and its differences to the baseline.

  Args:
    scores: arm → seed → metric → value. A metric that only some arms have
      (nsp_accuracy) is summarized for these arms, and not compared.
    baseline: arm that is subtracted from the others.
  """
  arms, differences = {}, {}
  for arm, by_seed in scores.items():
    arms[arm] = {
      metric: summarize([by_seed[s][metric] for s in sorted(by_seed)])
      for metric in _shared([by_seed])
    }
    if arm != baseline:
      differences[arm] = {
        metric: paired(
          {seed: by_seed[seed][metric] for seed in by_seed},
          {seed: scores[baseline][seed][metric] for seed in scores[baseline]},
        )
        for metric in _shared([by_seed, scores[baseline]])
      }
  return SweepResult(
    baseline, tuple(sorted(scores[baseline])), arms, differences
  )


def verdicts(
  result: SweepResult,
  groups: Sequence[Sequence[str]] = (),
  margins: Mapping[str, float] | None = None,
  by_example: ByExample | None = None,
) -> tuple[Comparison, ...]:
  """Say whether each arm differs from the baseline, corrected for their number.

  Args:
    result: the comparison.
    groups: as `compare_with_baseline` has them.
    margins: {metric: the largest difference that does not matter}.
    by_example: as `compare_with_baseline` has them.
  """
  return correct(compare_with_baseline(result, groups, margins, by_example))


def compare_with_baseline(
  result: SweepResult,
  groups: Sequence[Sequence[str]] = (),
  margins: Mapping[str, float] | None = None,
  by_example: ByExample | None = None,
) -> list[Comparison]:
  """Compare each arm with the baseline in each metric, as if it were alone.

  Args:
    result: the comparison.
    groups: the result of `equal_rows`; values on validation rows are compared
      only where an arm has those of the baseline.
    margins: {metric: the largest difference that does not matter}.
    by_example: differences of single test examples, where they are known.
  """
  same = {arm for group in groups if result.baseline in group for arm in group}

  def by_seed(arm: str, metric: str) -> dict[int, float]:
    values = result.arms[arm][metric].values
    return dict(zip(result.seeds, values, strict=True))

  return [
    compare_runs(
      by_seed(arm, metric),
      by_seed(result.baseline, metric),
      name=arm,
      baseline_name=result.baseline,
      metric=metric,
      margin=(margins or {}).get(metric),
      by_example=(by_example or {}).get((arm, metric)),
    )
    for arm, by_metric in result.differences.items()
    for metric in by_metric
    if metric not in SUMMARY_METRICS or arm in same
  ]


def table(
  result: SweepResult,
  groups: Sequence[Sequence[str]] | None = (),
  comparisons: Sequence[Comparison] = (),
) -> str:
  """Return Markdown: the arms, their differences by seed, and what they say.

  Args:
    result: the comparison.
    groups: the result of `equal_rows`; arms in none have rows of their own.
      None where no losses are compared.
    comparisons: what `verdicts` says of the result.
  """
  metrics = list(
    dict.fromkeys(name for arm in result.arms.values() for name in arm)
  )
  parts = [
    "Mean ± standard deviation over the seeds:",
    "",
    markdown(["arm", *metrics], _cells(result.arms, metrics)),
    "",
    f"Difference to {result.baseline}, seed by seed:",
    "",
    markdown(
      [
        *("arm", "metric"),
        *(f"seed {s}" for s in result.seeds),
        *("mean ± std", "95 % interval of the mean"),
      ],
      _by_seed(result.differences),
    ),
    "",
    *(f"- {each.sentence}." for each in comparisons),
  ]
  if groups is not None:
    parts += [
      "",
      *_which_compare(groups),
      "The validation rows of other arms differ. Compare those by the probe, "
      "not by their losses.",
    ]
  return "\n".join(parts) + "\n"


def _which_compare(groups: Sequence[Sequence[str]]) -> list[str]:
  return [
    f"The arms {', '.join(group)} have the same validation rows and masks, so "
    "that their mlm_loss and mlm_accuracy can be compared."
    for group in groups
    if len(group) > 1
  ]


def _cells(arms: Summaries, metrics: Sequence[str]) -> list[list[str]]:
  return [
    [
      arm,
      *(
        str(values[metric]) if metric in values else cell(None)
        for metric in metrics
      ),
    ]
    for arm, values in arms.items()
  ]


def _by_seed(differences: Summaries) -> list[list[str]]:
  return [
    [
      arm,
      metric,
      *(f"{value:+.4f}" for value in summary.values),
      cell(vars(summary), "+"),
      _shown(summary.interval()),
    ]
    for arm, by_metric in differences.items()
    for metric, summary in by_metric.items()
  ]


def _shown(interval: tuple[float, float] | None) -> str:
  if interval is None:
    return cell(None)
  low, high = interval
  return f"{low:+.4f} to {high:+.4f}"


def _shared(arms: Sequence[Scores]) -> list[str]:
  """Return the metrics that all runs have, in the order of the first run."""
  rows = [row for by_seed in arms for row in by_seed.values()]
  return [name for name in rows[0] if all(name in row for row in rows)]
