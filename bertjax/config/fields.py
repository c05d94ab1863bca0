# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Declarations beside a config's fields, and the checks that follow from them.

A field's type says which values it takes, when a run reads it, and which value
runs had before the field existed:

  schedule: Literal["linear", "polynomial"] = "linear"
  schedule_power: Annotated[
    float,
    Above(0),
    ReadWhen("{}schedule=polynomial", is_polynomial),
  ] = 0.5
"""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Container, Iterator, Sequence
from typing import (
  Annotated,
  Any,
  Literal,
  NamedTuple,
  get_args,
  get_origin,
  get_type_hints,
)


class Bound(NamedTuple):
  """One side of the range of a number; nan and infinity are out of any range.

  Attributes:
    words: the range in words; {} stands for the limit.
    holds: (value, limit) → whether the value is in the range.
    limit: where the range ends.
  """

  words: str
  holds: Callable[[float, float], bool]
  limit: float


AtLeast = functools.partial(Bound, "{} or more", operator.ge)
Above = functools.partial(Bound, "more than {}", operator.gt)
AtMost = functools.partial(Bound, "at most {}", operator.le)
Below = functools.partial(Bound, "less than {}", operator.lt)


@dataclasses.dataclass(frozen=True)
class ReadWhen:
  """Which runs read a field; other runs refuse a value that is not its default.

  Attributes:
    condition: completes "is read only with …"; {} stands for the dotted name
      of the group that the field is in.
    holds: (the group, the whole config) → whether the field is read.
  """

  condition: str
  holds: Callable[[Any, Any], bool]


@dataclasses.dataclass(frozen=True)
class Before:
  """The value that runs had before the field existed, if not the default."""

  value: Any


Seed = Annotated[int, AtLeast(0), AtMost(2**31 - 1)]
Positive = Annotated[float, Above(0)]
# A share that may be 0 but not 1.
Rate = Annotated[float, AtLeast(0), Below(1)]
Share = Annotated[float, AtLeast(0), AtMost(1)]


@functools.cache
def hints(kind: type) -> dict[str, Any]:
  """Return the declared type of every field of a config class, by name."""
  return get_type_hints(kind, include_extras=True)


def plain(hint: Any) -> Any:
  """Return a declared type without its annotations."""
  return _unpacked(hint)[0]


def choices(kind: type, name: str) -> tuple[str, ...]:
  """Return the values that a field declared as a `Literal` takes, in order."""
  base = plain(hints(kind)[name])
  assert get_origin(base) is Literal, f"{kind.__name__}.{name} has no choices"
  return get_args(base)


def check_types(config: Any, prefix: str = "") -> None:
  """Check every field of a config against its declared type and bounds.

  Args:
    config: a dataclass; nested ones are checked as well.
    prefix: dotted name of the group that `config` is, with its dot.

  Raises:
    ValueError: the first value that does not fit, its name and the fix.
  """
  for field in dataclasses.fields(config):
    hint = hints(type(config))[field.name]
    value = getattr(config, field.name)
    if dataclasses.is_dataclass(hint):
      check_types(value, f"{prefix}{field.name}.")
    else:
      _check(hint, value, prefix + field.name, field.default)


def check_read(
  config: Any, among: Container[str] | None = None, prefix: str = ""
) -> None:
  """Refuse a value that was chosen for a field that this run does not read.

  Args:
    config: config of the run, or a group of it.
    among: dotted names of the fields to look at; None looks at all.
    prefix: dotted name of the group that `config` is, with its dot.

  Raises:
    ValueError: the first such field, its value, and when it is read.
  """
  for path, field, rule in unread(config):
    if among is not None and path not in among:
      continue
    value = functools.reduce(getattr, path.split("."), config)
    name = prefix + path
    condition = rule.condition.format(name[: name.rfind(".") + 1])
    raise ValueError(
      f"{name}={value} is read only with {condition}; give that, or leave "
      f"{name} at {field.default!r}"
    )


def drop_unread(config: Any) -> Any:
  """Return the config with the default in every field that is not read."""
  for path, field, _ in list(unread(config)):
    config = _replaced(config, path.split("."), field.default)
  return config


def unread(config: Any) -> Iterator[tuple[str, dataclasses.Field, ReadWhen]]:
  """Yield the fields that the run does not read and that are not the default.

  Yields:
    The dotted name, the field, and when it is read.
  """
  for group, path, field in walk(config):
    for rule in extras(type(group), field.name, ReadWhen):
      changed = getattr(group, field.name) != field.default
      if changed and not rule.holds(group, config):
        yield path, field, rule


def walk(
  config: Any, prefix: str = ""
) -> Iterator[tuple[Any, str, dataclasses.Field]]:
  """Yield (group, dotted name, field) of every field that is not a group."""
  for field in dataclasses.fields(config):
    value, path = getattr(config, field.name), prefix + field.name
    if dataclasses.is_dataclass(value):
      yield from walk(value, f"{path}.")
    else:
      yield config, path, field


def extras(kind: type, name: str, of: type) -> list[Any]:
  """Return the annotations of class `of` on the field `name`."""
  return [each for each in _unpacked(hints(kind)[name])[1] if type(each) is of]


def before(kind: type, name: str) -> Any:
  """Return the value that runs had before the field `name` existed."""
  declared = extras(kind, name, Before)
  if declared:
    return declared[0].value
  return next(f.default for f in dataclasses.fields(kind) if f.name == name)


def before_path(kind: type, path: str) -> Any:
  """Return `before` of a dotted name; None where no field has that name."""
  *groups, last = path.split(".")
  owner: Any = kind
  for group in groups:
    owner = hints(owner).get(group) if dataclasses.is_dataclass(owner) else None
  if not (isinstance(owner, type) and dataclasses.is_dataclass(owner)):
    return None
  hint = hints(owner).get(last)
  is_value = hint is not None and not dataclasses.is_dataclass(hint)
  return before(owner, last) if is_value else None


def _replaced(config: Any, names: Sequence[str], value: Any) -> Any:
  """Return the config with a value in the field at the path `names`."""
  name, *rest = names
  if rest:
    value = _replaced(getattr(config, name), rest, value)
  return dataclasses.replace(config, **{name: value})


def _unpacked(hint: Any) -> tuple[Any, tuple[Any, ...]]:
  """Return a type without its annotations, and the annotations."""
  if get_origin(hint) is Annotated:
    base, *notes = get_args(hint)
    return base, tuple(notes)
  return hint, ()


def _check(hint: Any, value: Any, name: str, default: Any) -> None:
  base, notes = _unpacked(hint)
  origin = get_origin(base)
  if origin is Literal:
    if value not in get_args(base):
      raise ValueError(
        f"{name}={value!r}; give one of {', '.join(get_args(base))}"
      )
    return
  if origin is tuple:
    _check_kind(tuple, value, name, default)
    for number, element in enumerate(value):
      _check(get_args(base)[0], element, f"{name}[{number}]", None)
    return
  _check_kind(base, value, name, default)
  bounds = [each for each in notes if isinstance(each, Bound)]
  if bounds and not (
    math.isfinite(value)
    and all(each.holds(value, each.limit) for each in bounds)
  ):
    kind = "" if math.isfinite(value) else "a finite number, "
    raise ValueError(f"{name}={value}; give {kind}{_wanted(bounds, default)}")


def _check_kind(kind: Any, value: Any, name: str, default: Any) -> None:
  if not isinstance(kind, type):
    return
  # A bool is an int to Python, and a flag given as a count is a mistake; an
  # int is taken for a float.
  allowed = (float, int) if kind is float else kind
  if isinstance(value, allowed) and (kind is bool or type(value) is not bool):
    return
  example = f", such as {default}" if kind is tuple and default else ""
  raise ValueError(
    f"{name}={value!r} is {_named(type(value))}; give {_named(kind)}{example}"
  )


def _named(kind: type) -> str:
  return f"{'an' if kind is int else 'a'} {kind.__name__}"


def _wanted(bounds: list[Bound], default: Any) -> str:
  """Return the range in words, with the default as its example."""
  if [each.holds for each in bounds] == [operator.ge, operator.le]:
    wanted = f"{bounds[0].limit} to {bounds[1].limit}"
  else:
    wanted = " and ".join(each.words.format(each.limit) for each in bounds)
  if len(bounds) > 1 and isinstance(default, float) and default:
    return f"{wanted}, such as {default}"
  return wanted
