# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which failures a user allows, which warnings fail, and which limits hold."""

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping

from absl import flags

from launch.preflight.thresholds import CHECKS

_EVERY = "every"


@dataclasses.dataclass(frozen=True)
class Policy:
  """How findings are settled.

  Attributes:
    allow: checks whose failures do not end the command.
    strict: checks whose warnings are failures; "every" stands for all.
    thresholds: limits that replace those of the table, by NAME.LEVEL.
  """

  allow: frozenset[str] = frozenset()
  strict: frozenset[str] = frozenset()
  thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)

  def __post_init__(self) -> None:
    """Refuse names that no check has, and contradictions.

    Raises:
      ValueError: a name is unknown, or is both allowed and strict.
    """
    _check_names("allow", self.allow)
    _check_names("strict", self.strict - {_EVERY})
    if both := sorted(self.allow & self.strict):
      raise ValueError(
        f"--allow={both[0]} and --strict={both[0]} contradict each other; give "
        "one of them"
      )

  def limits(self, name: str) -> dict[str, float | None]:
    """Return the limits of a check, by level."""
    check = CHECKS[name]
    table = {"warn": check.warn, "fail": check.fail}
    return {
      level: self.thresholds.get(f"{name}.{level}", value)
      for level, value in table.items()
    }

  def is_strict(self, name: str) -> bool:
    """Return whether a warning of a check is a failure."""
    return name in self.strict or (
      _EVERY in self.strict and name not in self.allow
    )


class _StrictParser(flags.ArgumentParser):
  """Parses `--strict` (every warning) and `--strict=NAME,…`."""

  def parse(self, argument: str | bool) -> frozenset[str]:
    if argument in (True, "true"):
      return frozenset([_EVERY])
    if argument in (False, "false"):
      return frozenset()
    return frozenset(_split(str(argument)))

  def flag_type(self) -> str:
    return "bare, or a list of checks"


class _StrictFlag(flags.Flag):
  """A flag that may stand without a value, as a boolean flag may."""

  def __init__(self) -> None:
    super().__init__(
      _StrictParser(),
      None,
      "strict",
      "",
      "Make warnings failures: all of them, or those of the checks that are "
      "named, as --strict=NAME,…",
      boolean=True,
    )


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
  """Define --allow, --strict and --thresholds."""
  flags.DEFINE_list(
    "allow",
    [],
    "Checks whose failures do not end the command; launch.doctor --list shows "
    "their names.",
    flag_values=values,
  )
  flags.DEFINE_flag(_StrictFlag(), flag_values=values)
  flags.DEFINE_list(
    "thresholds",
    [],
    "Limits that replace those of launch.doctor --list, as NAME.warn=VALUE or "
    "NAME.fail=VALUE; NAME=VALUE sets the only limit of a check.",
    flag_values=values,
  )


def from_flags(values: flags.FlagValues = flags.FLAGS) -> Policy:
  """Return the policy of the flags.

  Raises:
    ValueError: a name is unknown, a limit is no number, or a check is both
      allowed and strict.
  """
  return Policy(
    allow=frozenset(_stripped(values.allow)),
    strict=values.strict,
    thresholds=parse_thresholds(values.thresholds),
  )


def parse_thresholds(entries: Iterable[str]) -> dict[str, float]:
  """Return limits by NAME.LEVEL, from entries such as unknown_tokens.warn=0.1.

  Raises:
    ValueError: an entry names no limit of a check, or gives no number.
  """
  limits: dict[str, float] = {}
  for entry in _stripped(entries):
    key, mark, text = entry.partition("=")
    name, _, level = key.partition(".")
    _check_names("thresholds", [name])
    levels = [
      each
      for each in ("warn", "fail")
      if getattr(CHECKS[name], each) is not None
    ]
    if not level and len(levels) == 1:
      level = levels[0]
    if level not in levels:
      wanted = " or ".join(f"{name}.{each}=VALUE" for each in levels)
      raise ValueError(
        f"--thresholds={entry}: {key} is no limit; give {wanted}"
      )
    try:
      value = float(text)
    except ValueError:
      value = math.nan
    if not mark or math.isnan(value):
      raise ValueError(
        f"--thresholds={entry} gives no number; give {name}.{level}=VALUE, for "
        f"example {name}.{level}={getattr(CHECKS[name], level):g}"
      )
    limits[f"{name}.{level}"] = value
  return limits


def _check_names(flag: str, names: Iterable[str]) -> None:
  for name in sorted(names):
    if name not in CHECKS:
      close = difflib.get_close_matches(name, CHECKS, n=1)
      instead = f"give {close[0]}" if close else "no check is close to it"
      raise ValueError(
        f"--{flag}={name}: there is no such check; {instead}, or see "
        "python -m launch.doctor --list"
      )


def _split(text: str) -> list[str]:
  return _stripped(text.split(","))


def _stripped(entries: Iterable[str]) -> list[str]:
  return [entry.strip() for entry in entries if entry.strip()]


# Every limit of the table; nothing is allowed.
DEFAULT = Policy()
