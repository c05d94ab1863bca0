# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A judged figure: pass, warn or fail."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from bertjax.trials.finding import FoundWrong
from launch.preflight.policy import Policy
from launch.preflight.thresholds import CHECKS

Level = Literal["pass", "warn", "fail"]
# How many names a text lists before it counts the others.
SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Finding:
  """What became of a check.

  Attributes:
    name: a key of `thresholds.CHECKS`.
    level: pass, warn or fail, before --allow.
    text: what was found, as a clause that starts in lower case.
    fix: what the user can do, as a clause.
    figure: the measured figure.
    threshold: the limit that the figure is beyond; the nearest limit if it
      passes.
  """

  name: str
  level: Level
  text: str
  fix: str
  figure: float
  threshold: float | None

  def __str__(self) -> str:
    """Return `TEXT (NAME FIGURE, limit THRESHOLD); fix: FIX`."""
    check = CHECKS[self.name]
    limit = "" if self.threshold is None else check.show(self.threshold)
    figure = check.show(self.figure)
    return f"{self.text} ({self.name} {figure}, limit {limit}); fix: {self.fix}"


def judge(
  name: str, figure: float, text: str, fix: str, policy: Policy
) -> Finding:
  """Compare a figure with its limits.

  Args:
    name: a key of `thresholds.CHECKS`.
    figure: in the unit of the check; a share is between 0 and 1.
    text: what a figure beyond a limit means.
    fix: what the user can do then.
    policy: limits and levels that the user set.
  """
  check = CHECKS[name]
  limits = policy.limits(name)
  beyond = [
    level
    for level, limit in limits.items()
    if limit is not None
    and (figure > limit if check.worse == "above" else figure < limit)
  ]
  level: Level = "fail" if "fail" in beyond else "warn" if beyond else "pass"
  nearest = next(
    (limit for limit in limits.values() if limit is not None), None
  )
  threshold = nearest if level == "pass" else limits[level]
  if level == "warn" and policy.is_strict(name):
    level = "fail"
  return Finding(name, level, text, fix, float(figure), threshold)


def at_most_warn(finding: Finding, policy: Policy) -> Finding:
  """Return a finding that warns where its check alone would fail.

  For a figure that ruins one use of a store, where the use is not known yet. It
  fails all the same where `policy` makes warnings failures.
  """
  if finding.level != "fail" or policy.is_strict(finding.name):
    return finding
  return dataclasses.replace(finding, level="warn")


def listed(names: Sequence[str]) -> str:
  """Return the first names, and how many more there are."""
  more = len(names) - SHOWN
  shown = ", ".join(names[:SHOWN])
  return f"{shown} and {more:,} more" if more > 0 else shown


def is_allowed(finding: Finding, policy: Policy) -> bool:
  """Return whether a finding fails, and the user lets it pass."""
  return finding.level == "fail" and finding.name in policy.allow


def tell(finding: Finding, policy: Policy) -> str:
  """Return the line of a finding, and with which flag it was allowed."""
  if is_allowed(finding, policy):
    return f"{finding}; --allow={finding.name} lets it pass"
  return str(finding)


def found_wrong(
  findings: Iterable[Finding], policy: Policy
) -> tuple[FoundWrong, ...]:
  """Return what did not pass, for results to keep; what is equal once."""
  return tuple(
    FoundWrong(
      **vars(finding),
      allowed=is_allowed(finding, policy),
      line=tell(finding, policy),
    )
    for finding in dict.fromkeys(findings)
    if finding.level != "pass"
  )


def of_results(findings: Iterable[Finding]) -> list[Finding]:
  """Return findings without those of the machine, as results keep them.

  A run that goes on elsewhere has the same (law 12).
  """
  return [each for each in findings if not CHECKS[each.name].of_machine]


def to_json(
  findings: Iterable[Finding], policy: Policy
) -> list[Mapping[str, Any]]:
  """Return what did not pass, as JSON values, and whether it was allowed."""
  return [each.to_json() for each in found_wrong(findings, policy)]
