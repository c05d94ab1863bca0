# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the trials of a study have read, beside what matching promised."""

from collections.abc import Mapping

from bertjax.config import SweepConfig
from bertjax.sweep import study
from bertjax.sweep.matching import TOLERANCE
from launch.sweep.trials import COST, Outcome


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
) -> tuple[str, str]:
  """Compare what arms have read with what the baseline has.

  Args:
    config: config of the study.
    seen: tokens that a run has read, by arm and by seed.

  Returns:
    A sentence, "" where there is nothing to compare; and what follows where
    arms differ by more than `match` allows, else "".
  """
  base = seen.get(study.compared_with(config), {})
  ratios = {
    arm: [
      count / base[seed] - 1 for seed, count in counts.items() if seed in base
    ]
    for arm, counts in seen.items()
  }
  most = {arm: max(each, key=abs) for arm, each in ratios.items() if each}
  if len(most) < 2:
    return "", ""
  worst = max(most, key=lambda arm: abs(most[arm]))
  read = (
    f"Tokens that the runs have read: within {abs(most[worst]):.2%} of the "
    f"baseline's (arm {worst})."
  )
  if config.match != "tokens" or abs(most[worst]) <= TOLERANCE:
    return read, ""
  return read, (
    f"That is more than the {TOLERANCE:.1%} that match=tokens allows: the "
    "blocks that were sampled are not like the others. Do not compare that arm."
  )
