# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Arms of a study: trials that differ in a few fields, compared by seed."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import (
  PretrainConfig,
  SweepConfig,
  check_read,
  from_mapping,
  to_mapping,
)
from bertjax.config.fields import drop_unread, unread
from bertjax.trials.markdown import cell, markdown
from bertjax.trials.statistics import paired, summarize
from bertjax.trials.store import Trial

# What an arm may change; everything else must be the same in all of them.
_FREE = "objective"
# Seed → metric → value, of one arm.
Scores = Mapping[int, Mapping[str, float]]


def make_trials(config: SweepConfig) -> list[Trial]:
  """Return a trial for every arm and seed, all arms of a seed together.

  A sweep that is cut short then has whole comparisons. The baseline is first.

  Raises:
    ValueError: fewer than two arms or no seed, a baseline that is no arm, an
      arm that changes more than the objective, or a field that is not there.
  """
  if len(config.arms) < 2 or config.baseline not in config.arms:
    raise ValueError(
      f"baseline={config.baseline!r} with arms {', '.join(config.arms)}; give "
      "two arms or more, one of them the baseline"
    )
  if config.seeds < 1:
    raise ValueError(f"seeds={config.seeds}; give 1 or more")
  for arm, changes in config.arms.items():
    if set(changes) - {_FREE}:
      raise ValueError(
        f"arm {arm} changes {', '.join(sorted(set(changes) - {_FREE}))}; arms "
        f"are matched in everything but {_FREE}"
      )
  if config.pretrain.seed:
    raise ValueError(
      f"pretrain.seed={config.pretrain.seed} is not read: the trials count up "
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
  """Return the pre-training run of an arm and a seed.

  Fields of the base that only other arms read have their default in this arm.

  Raises:
    ValueError: the arm changes a field that is not there.
  """
  base = drop_unread(_merged_config(config, arm, seed))
  return from_mapping(
    PretrainConfig, _merged(to_mapping(base), config.arms[arm])
  )


def _merged_config(config: SweepConfig, arm: str, seed: int) -> PretrainConfig:
  fields = _merged(to_mapping(config.pretrain), config.arms[arm])
  return from_mapping(PretrainConfig, {**fields, "seed": seed})


def compare(scores: Mapping[str, Scores], baseline: str) -> dict[str, Any]:
  """Return mean and spread of every arm, and differences to the baseline.

  Args:
    scores: arm → seed → metric → value. A metric that not all arms have
      (nsp_accuracy) is summarized where it is, and not compared.
    baseline: the arm that is subtracted from the others.

  Returns:
    `seeds`, in the order of all values; `arms` and `differences`: arm →
    metric → mean, std (ddof 1), values.
  """
  arms, differences = {}, {}
  for arm, by_seed in scores.items():
    arms[arm] = {
      metric: summarize([by_seed[s][metric] for s in sorted(by_seed)]).to_json()
      for metric in _shared([by_seed])
    }
    if arm != baseline:
      differences[arm] = {
        metric: paired(
          {seed: by_seed[seed][metric] for seed in by_seed},
          {seed: scores[baseline][seed][metric] for seed in scores[baseline]},
        ).to_json()
        for metric in _shared([by_seed, scores[baseline]])
      }
  return {
    "baseline": baseline,
    "seeds": sorted(scores[baseline]),
    "arms": arms,
    "differences": differences,
  }


def table(comparison: Mapping[str, Any]) -> str:
  """Return the comparison as two tables, arms and differences by seed."""
  arms, differences = comparison["arms"], comparison["differences"]
  metrics = list(dict.fromkeys(name for arm in arms.values() for name in arm))
  parts = [
    markdown(["arm", *metrics], _cells(arms, metrics)),
    "",
    f"Difference to {comparison['baseline']}, seed by seed:",
    "",
    markdown(
      ["arm", "metric", *(f"seed {s}" for s in comparison["seeds"]), "mean"],
      _by_seed(differences),
    ),
    "",
    "Every arm is validated on rows of its own kind: the probe compares arms, "
    "their losses do not.",
  ]
  return "\n".join(parts) + "\n"


def _cells(arms: Mapping[str, Any], metrics: Sequence[str]) -> list[list[str]]:
  return [
    [arm, *(cell(values.get(metric)) for metric in metrics)]
    for arm, values in arms.items()
  ]


def _by_seed(differences: Mapping[str, Any]) -> list[list[str]]:
  return [
    [
      arm,
      metric,
      *(f"{value:+.4f}" for value in summary["values"]),
      cell(summary, "+"),
    ]
    for arm, by_metric in differences.items()
    for metric, summary in by_metric.items()
  ]


def _shared(arms: Sequence[Scores]) -> list[str]:
  """Metrics that every seed of every arm has, in the order of the first."""
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
