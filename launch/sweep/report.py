# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write what a study found: `report.json`, `results.json` and `results.md`.

`report.json` has no clock: costs are tokens, steps and FLOPs, so that a study
that was killed and resumed has the same bytes. Seconds are in `timing.json`.
"""

import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax import files
from bertjax.config import SweepConfig, to_mapping
from bertjax.sweep import study
from bertjax.sweep.choice import choose_on_dev
from bertjax.sweep.comparison import Scores, SweepResult, compare, table
from bertjax.sweep.differences import Differences
from bertjax.sweep.matching import TOLERANCE
from bertjax.trials.store import Trial, TrialStore
from launch.sweep.costs import ArmCost
from launch.sweep.trials import COST, Outcome, read_seconds, shared_seeds

REPORT = "report.json"
TIMING = "timing.json"


def write_report(
  config: SweepConfig,
  store: TrialStore,
  outcome: Outcome,
  differences: Differences,
  costs: Mapping[str, ArmCost],
) -> SweepResult:
  """Compare the arms that are done, and write all files.

  Raises:
    ValueError: no seed of the baseline is done in all arms.
  """
  scores = shared_seeds(outcome, config.chosen)
  baseline = study.compared_with(config)
  if baseline not in scores:
    raise ValueError(
      f"no seed of {baseline} is done in all arms, and nothing can be "
      f"compared: {outcome.failures}"
    )
  tuned = config.trains == "finetune"
  choice = None
  if tuned:
    everything = compare(scores, baseline).arms
    choice = choose_on_dev(everything, config.finetune.metric)
    # Arms are compared on dev: test is for the chosen one alone.
    scores = _on_dev(scores)
  result = compare(scores, baseline)
  seen = tokens_seen(outcome)
  groups = None if tuned else study.equal_rows(config)
  parts = [table(result, groups)]
  parts += [str(choice)] if choice else []
  parts += describe_tokens(config, seen)
  if config.seeds == 1:
    parts.append(
      "One seed: no difference here has a spread to compare it with."
    )
  text = "\n".join(parts) + "\n"
  report = {
    **result.to_json(),
    "trains": config.trains,
    "match": config.match,
    "changes": {arm: dict(config.arms[arm]) for arm in config.chosen},
    "base": to_mapping(config.finetune if tuned else config.pretrain),
    "finetune": to_mapping(config.finetune),
    "planned_costs": {
      arm: costs[arm].to_json() for arm in config.chosen if costs
    },
    "tokens_seen": seen,
    "differences": differences.to_json(),
    "choice": choice and choice.to_json(),
    "failed": sorted(outcome.failed),
  }
  _write(store, result, report, text)
  print(text, flush=True)
  return result


def _write(
  store: TrialStore, result: SweepResult, report: Mapping[str, Any], text: str
) -> None:
  store.guard()
  folder = store.folder
  files.write_json(folder / "results.json", result.to_json(), allow_nan=False)
  files.write_json(
    folder / REPORT, json.loads(json.dumps(report)), allow_nan=False
  )
  files.write_text(folder / "results.md", text)


def _on_dev(scores: Mapping[str, Scores]) -> dict[str, Scores]:
  return {
    arm: {
      seed: {n: value for n, value in row.items() if n.startswith("dev_")}
      for seed, row in by_seed.items()
    }
    for arm, by_seed in scores.items()
  }


def write_timing(store: TrialStore, trials: Sequence[Trial]) -> None:
  """Write the seconds of each trial, over all calls."""
  store.guard()
  seconds = {trial.name: read_seconds(store.path(trial)) for trial in trials}
  files.write_json(
    store.folder / TIMING,
    {"trials": seconds, "seconds": sum(seconds.values())},
    allow_nan=False,
  )


def tokens_seen(outcome: Outcome) -> dict[str, dict[str, int]]:
  """Return arm → seed → tokens that the run has read, where it is known."""
  return {
    arm: {
      str(seed): result[COST]["tokens"]
      for seed, result in by_seed.items()
      if result.get(COST, {}).get("tokens")
    }
    for arm, by_seed in outcome.results.items()
  }


def describe_tokens(
  config: SweepConfig, seen: Mapping[str, Mapping[str, int]]
) -> list[str]:
  """Return what arms have read, compared with the baseline, in sentences."""
  base = seen.get(study.compared_with(config), {})
  ratios = {
    arm: [
      count / base[seed] - 1 for seed, count in counts.items() if seed in base
    ]
    for arm, counts in seen.items()
  }
  most = {arm: max(each, key=abs) for arm, each in ratios.items() if each}
  if len(most) < 2:
    return []
  worst = max(most, key=lambda arm: abs(most[arm]))
  lines = [
    f"Tokens that the runs have read: within {abs(most[worst]):.2%} of the "
    f"baseline's (arm {worst})."
  ]
  if config.match == "tokens" and abs(most[worst]) > TOLERANCE:
    lines.append(
      f"That is more than the {TOLERANCE:.1%} that match=tokens allows: the "
      "blocks that were sampled are not like the others. Do not compare that "
      "arm."
    )
  return lines


def measured_rate(
  folder: pathlib.Path, trials: Sequence[Trial], costs: Mapping[str, ArmCost]
) -> float:
  """Return the median FLOP/s of the trials in a folder; 0 without trials."""
  rates = []
  for trial in trials:
    path = folder / "trials" / trial.name / "pretrain" / "timing.jsonl"
    if costs and path.is_file():
      work = costs[trial.settings["arm"]].work
      rates += [
        json.loads(line)["tokens_per_second"] * work.flops / work.tokens
        for line in path.read_text().splitlines()
      ]
  return statistics.median(rates) if rates else 0.0
