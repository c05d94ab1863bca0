# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the trials of a study warned of, each check once (law 14)."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bertjax.trials.finding import FoundWrong
from bertjax.trials.results import JsonResult
from bertjax.trials.statistics import name_seeds

# Seeds by arm.
Trials = Mapping[str, Sequence[int]]


@dataclasses.dataclass(frozen=True)
class TrialFinding(JsonResult):
  """What a part of a trial warned of.

  Attributes:
    of: the part, such as "pre-training" or "probe rte".
    found: the finding.
  """

  of: str
  found: FoundWrong


class InTrial(NamedTuple):
  """A finding and the trial that has it."""

  arm: str
  seed: int
  told: TrialFinding


@dataclasses.dataclass(frozen=True)
class Variant(JsonResult):
  """What some trials warned of in equal words and with an equal figure.

  Attributes:
    found: the finding.
    trials: seeds of the trials that have it, by arm.
    where: these trials in words.
  """

  found: FoundWrong
  trials: Mapping[str, tuple[int, ...]]
  where: str


@dataclasses.dataclass(frozen=True)
class StudyFinding(JsonResult):
  """What trials of a study warned of by one check of one part of them.

  Attributes:
    name: name of the check.
    of: the part of the trials.
    variants: each with another figure; first that which is farthest beyond its
      limit.
  """

  name: str
  of: str
  variants: tuple[Variant, ...]

  @property
  def sentences(self) -> list[str]:
    """A sentence for each variant, with the trials that have it."""
    of = f"{self.of[:1].upper()}{self.of[1:]}"
    return [f"{of} in {v.where}: {v.found.line}." for v in self.variants]

  @property
  def summary(self) -> str:
    """The first sentence, and how many more there are."""
    first, *more = self.sentences
    return f"{first} {self.describe_more()}." if more else first

  def describe_more(self) -> str:
    """Return how many variants there are beside the first; "" for none."""
    more = len(self.variants) - 1
    if not more:
      return ""
    return (
      f"{more:,} more {'finding' if more == 1 else 'findings'} of this check"
    )


def group_findings(
  found: Iterable[InTrial], known: Trials
) -> tuple[StudyFinding, ...]:
  """Return each check once, and first those that fail and were allowed.

  Args:
    found: findings of the trials.
    known: the trials whose findings are known.
  """
  checks: dict[tuple[str, str, str], dict[FoundWrong, dict[str, set[int]]]] = {}
  for arm, seed, told in found:
    # One check may judge two things, such as two splits, each with its fix.
    key = (told.of, told.found.name, told.found.fix)
    by_arm = checks.setdefault(key, {}).setdefault(told.found, {})
    by_arm.setdefault(arm, set()).add(seed)
  grouped = [
    StudyFinding(
      name,
      of,
      tuple(
        Variant(
          each,
          {arm: tuple(sorted(seeds)) for arm, seeds in by_arm.items()},
          _where(by_arm, known),
        )
        for each, by_arm in sorted(variants.items(), key=_urgency)
      ),
    )
    for (of, name, _), variants in checks.items()
  ]
  return tuple(sorted(grouped, key=lambda each: not _fails(each)))


def _urgency(variant: tuple[FoundWrong, object]) -> tuple[bool, float]:
  found, _ = variant
  beyond = abs(found.figure - (found.threshold or 0.0))
  return found.level != "fail", -beyond


def _fails(finding: StudyFinding) -> bool:
  return any(each.found.level == "fail" for each in finding.variants)


def _where(by_arm: Mapping[str, set[int]], known: Trials) -> str:
  """Return trials in words: an arm without seeds has it with all of them."""
  if by_arm == {arm: set(seeds) for arm, seeds in known.items() if seeds}:
    return "all trials"
  parts = [
    arm if seeds == set(known[arm]) else f"{arm} ({name_seeds(sorted(seeds))})"
    for arm, seeds in by_arm.items()
  ]
  return f"{'arm' if len(parts) == 1 else 'arms'} {'; '.join(parts)}"
