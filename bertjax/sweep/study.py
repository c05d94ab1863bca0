# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Arms of a sweep: runs that differ in a few fields, compared by seed."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import (
  PretrainConfig,
  SweepConfig,
  check_read,
  check_types,
  from_mapping,
  to_mapping,
)
from bertjax.config.fields import drop_unread, unread
from bertjax.trials.markdown import cell, markdown
from bertjax.trials.results import VERSION, JsonResult
from bertjax.trials.statistics import Summary, paired, summarize
from bertjax.trials.store import Trial

# The only part of the config in which arms may differ.
_FREE = "objective"
# The fields of an objective that decide which rows an arm has: the others mask
# them or weigh their losses, and validation masks the rows of all arms alike.
_ROW_FIELDS = ("input_format", "next_sentence", "short_rate")
# Seed → metric → value, for one arm.
Scores = Mapping[int, Mapping[str, float]]
# Arm → metric → summary over the seeds.
Summaries = Mapping[str, Mapping[str, Summary]]


@dataclasses.dataclass(frozen=True)
class SweepResult(JsonResult):
  """The comparison of the arms, the content of `results.json`.

  Attributes:
    baseline: arm that is subtracted from the others.
    seeds: seeds of the runs, in the order of all values.
    arms: summaries of each arm.
    differences: summaries of the paired differences to the baseline, for each
      other arm.
  """

  baseline: str
  seeds: tuple[int, ...]
  arms: Summaries
  differences: Summaries

  def to_json(self) -> dict[str, Any]:
    """Return the JSON of a results file, with the intervals of differences."""
    intervals = {
      arm: {name: each.interval() for name, each in by_metric.items()}
      for arm, by_metric in self.differences.items()
    }
    saved = {"version": VERSION, **super().to_json()}
    return {**saved, "intervals_95": json.loads(json.dumps(intervals))}


def make_trials(config: SweepConfig) -> list[Trial]:
  """Return a trial for every arm and seed, the arms of one seed together.

  A sweep that is interrupted then has complete comparisons. The baseline comes
  first.

  Raises:
    ValueError: a field does not take its value, there are fewer than two arms,
      the baseline is not an arm, or an arm changes a field that is unknown or
      not in `objective`.
  """
  check_types(config)
  if len(config.arms) < 2 or config.baseline not in config.arms:
    raise ValueError(
      f"baseline={config.baseline!r} with arms {', '.join(config.arms)}; give "
      "two arms or more, one of them the baseline"
    )
  for arm, changes in config.arms.items():
    if set(changes) - {_FREE}:
      raise ValueError(
        f"arm {arm} changes {', '.join(sorted(set(changes) - {_FREE}))}; arms "
        f"may change {_FREE} only"
      )
  if config.pretrain.seed:
    raise ValueError(
      f"pretrain.seed={config.pretrain.seed} has no effect: trials count up "
      "from seed; give that, and leave pretrain.seed at 0"
    )
  runs = [_merged_config(config, arm, config.seed) for arm in config.arms]
  never_read = [{path for path, *_ in unread(run)} for run in runs]
  check_read(runs[0], among=set.intersection(*never_read))
  return [
    Trial(f"{arm}-seed{seed}", {"arm": arm, "seed": seed, **config.arms[arm]})
    for seed in range(config.seed, config.seed + config.seeds)
    for arm in sorted(config.arms, key=lambda arm: arm != config.baseline)
  ]


def pretrain_config(config: SweepConfig, arm: str, seed: int) -> PretrainConfig:
  """Return the config of an arm's pre-training run with a seed.

  Fields of the base that only other arms read have their default in this arm.

  Raises:
    ValueError: the arm changes an unknown field.
  """
  base = drop_unread(_merged_config(config, arm, seed))
  return from_mapping(
    PretrainConfig, _merged(to_mapping(base), config.arms[arm])
  )


def _merged_config(config: SweepConfig, arm: str, seed: int) -> PretrainConfig:
  fields = _merged(to_mapping(config.pretrain), config.arms[arm])
  return from_mapping(PretrainConfig, {**fields, "seed": seed})


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


def equal_rows(config: SweepConfig) -> list[list[str]]:
  """Return the arms in groups whose validation rows are the same."""
  groups: dict[tuple[Any, ...], list[str]] = {}
  for arm in config.arms:
    chosen = pretrain_config(config, arm, config.seed).objective
    rows = tuple(getattr(chosen, name) for name in _ROW_FIELDS)
    groups.setdefault(rows, []).append(arm)
  return list(groups.values())


def table(result: SweepResult, groups: Sequence[Sequence[str]] = ()) -> str:
  """Return two Markdown tables: the arms, and their differences by seed.

  Args:
    result: the comparison.
    groups: the result of `equal_rows`; arms in none have rows of their own.
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
    *_which_compare(groups),
    "The validation rows of other arms differ. Compare those by the probe, not "
    "by their losses.",
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


def _merged(
  fields: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
  merged = dict(fields)
  for name, value in changes.items():
    nested = isinstance(value, Mapping) and name in merged
    merged[name] = _merged(merged[name], value) if nested else value
  return merged
