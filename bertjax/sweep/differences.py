# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""In what the arms of a sweep differ, and that it is nothing but the axes."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bertjax.trials.results import JsonResult

# Why arms may differ in a field: it is an axis, `match` sets it, an arm does
# not read it, or it follows from another field that is an axis.
AXIS, MATCHED, UNREAD, FOLLOWS = "axis", "matched", "not read", "follows"
# Fields that `match` sets.
MATCHED_FIELDS = (
  "steps",
  "optimizer.warmup_steps",
  "phase2.steps",
  "phase2.warmup_steps",
)
# Field → the axes that it follows from.
_FOLLOWS = {
  "data.max_packs": ("data.seq_length", "data.store", "data.stores"),
  "phase2.max_packs": ("phase2.seq_length", "data.store", "data.stores"),
  "store": ("data.store", "data.stores"),
  "start weights": ("init_from",),
}


@dataclasses.dataclass(frozen=True)
class Difference(JsonResult):
  """A field in which arms differ.

  Attributes:
    field: its dotted name.
    why: one of the reasons above.
    arms: {value: arms that have it}.
  """

  field: str
  why: str
  arms: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Differences(JsonResult):
  """What differs between arms, and what is equal in all of them.

  Attributes:
    fields: the fields that differ.
    equal: {what: its value in all arms}.
    rows: arms in groups whose training rows are the same.
    validation: arms in groups whose validation rows and masks are the same.
  """

  fields: tuple[Difference, ...]
  equal: Mapping[str, str]
  rows: tuple[tuple[str, ...], ...] = ()
  validation: tuple[tuple[str, ...], ...] = ()

  def __str__(self) -> str:
    lines = ["Arms differ in:"]
    for each in self.fields:
      note = "" if each.why == AXIS else f" ({each.why})"
      shares = "; ".join(
        f"{value}: {', '.join(arms)}" for value, arms in each.arms.items()
      )
      lines.append(f"  {each.field}{note}  {shares}")
    lines.append("and in nothing else. Equal in all of them:")
    lines += [f"  {name}: {value}" for name, value in self.equal.items()]
    for name, groups in (
      ("training rows", self.rows),
      ("validation rows and masks", self.validation),
    ):
      if groups:
        lines.append(f"  {name}: {describe_groups(groups)}")
    return "\n".join(lines)


def find_differences(
  fields: Mapping[str, Mapping[str, Any]],
  axes: Sequence[str],
  unread: Mapping[str, Iterable[str]] | None = None,
  *,
  matched: bool = False,
) -> tuple[Difference, ...]:
  """Return every field in which arms differ, and why they may.

  Args:
    fields: arm → dotted name → value, of everything that a result depends on.
    axes: fields in which the arms were asked to differ.
    unread: arm → fields that its trials do not read.
    matched: whether the steps of an arm are those that match it.

  Raises:
    ValueError: arms differ in a field for no reason.
  """
  found = []
  names = dict.fromkeys(name for values in fields.values() for name in values)
  for name in names:
    arms: dict[str, list[str]] = {}
    for arm, values in fields.items():
      arms.setdefault(str(values.get(name)), []).append(arm)
    if len(arms) == 1:
      continue
    read = {
      str(values.get(name))
      for arm, values in fields.items()
      if name not in (unread or {}).get(arm, ())
    }
    why = _reason(name, axes, differs=len(read) > 1, matched=matched)
    if not why:
      shares = "; ".join(f"{each}: {', '.join(a)}" for each, a in arms.items())
      raise ValueError(
        f"arms differ in {name}, which is no axis ({shares}); give {name} one "
        "value, or make it an axis"
      )
    found.append(
      Difference(name, why, {value: tuple(a) for value, a in arms.items()})
    )
  return tuple(found)


def _reason(
  name: str,
  axes: Sequence[str],
  *,
  differs: bool,
  matched: bool,
) -> str:
  if name in axes:
    return AXIS
  if matched and name in MATCHED_FIELDS:
    return MATCHED
  if not differs:  # among the arms that read it
    return UNREAD
  return FOLLOWS if set(_FOLLOWS.get(name, ())) & {*axes} else ""


def group(keys: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
  """Return the arms in groups of equal keys."""
  groups: dict[Any, list[str]] = {}
  for arm, key in keys.items():
    groups.setdefault(key, []).append(arm)
  return tuple(tuple(arms) for arms in groups.values())


def describe_groups(groups: Sequence[Sequence[str]]) -> str:
  """Return in words which arms share something."""
  if len(groups) == 1:
    return "the same in all arms"
  shared = [", ".join(arms) for arms in groups if len(arms) > 1]
  if not shared:
    return "of each arm its own"
  return f"the same in {'; in '.join(shared)}; others have their own"
