# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The axes of a sweep: named arms, and grids of values of any fields."""

import dataclasses
import difflib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from bertjax.config import (
  FinetuneConfig,
  PretrainConfig,
  SweepConfig,
  flatten_fields,
  nest,
)
from bertjax.config.fields import hints, plain, walk

Changes = Mapping[str, Any]
_GROUPS = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}
# Fields that a sweep sets itself, by what its trials do.
_OWN = {"pretrain": ("seed",), "finetune": ("seed", "seeds")}
_FLAGS = {"true": True, "false": False}


def expand(config: SweepConfig) -> SweepConfig:
  """Return the config with every combination of its axes as an arm.

  `grid` is then empty, `chosen` has the arms that run, those of `apart` that do
  not run are gone, and `baseline` is one of all arms: to expand the result
  again changes nothing.

  Raises:
    ValueError: an axis or an arm that does not exist, or a value that the
      field does not take.
  """
  cells = _cells(config)
  named = {arm: nest(_fields(config, arm)) for arm in config.arms or ("",)}
  arms = {
    ",".join(filter(None, (arm, cell))): merge(changes, cells[cell])
    for arm, changes in named.items()
    for cell in cells
  }
  chosen = _choose(config, tuple(arms))
  arms = {
    arm: changes
    for arm, changes in arms.items()
    if arm in chosen or arm.partition(",")[0] not in config.apart
  }
  baseline = _arm_of(config, config.baseline)
  if baseline and baseline in named and config.grid:
    baseline = next(arm for arm in arms if arm.startswith(f"{baseline},"))
  return dataclasses.replace(
    config,
    arms=arms,
    grid="",
    chosen=chosen,
    baseline=baseline or next(iter(arms)),
  )


def axes(config: SweepConfig) -> list[str]:
  """Return the fields in which the arms of an expanded config may differ."""
  found = [name for arm in config.arms.values() for name in flatten_fields(arm)]
  return list(dict.fromkeys(found))


def merge(fields: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
  """Return nested fields with nested changes."""
  merged = dict(fields)
  for name, value in changes.items():
    nested = isinstance(value, Mapping) and name in merged
    merged[name] = merge(merged[name], value) if nested else value
  return merged


def parse_task(text: str) -> tuple[str, dict[str, Any]]:
  """Return "NAME:FIELD=VALUE;FIELD=VALUE" as a task that probes.

  Returns:
    Its name, and the fields of `finetune` that it changes, nested.

  Raises:
    ValueError: there is no name, no such field, or a value that it does not
      take.
  """
  name, _, rest = text.partition(":")
  parts = [part.strip() for part in rest.split(";") if part.strip()]
  if not name or not parts or not all("=" in part for part in parts):
    raise ValueError(
      f"probe={text!r}; give NAME:FIELD=VALUE;FIELD=VALUE, as "
      "'rte:task.kind=glue;task.name=rte;task.folder=DIR'"
    )
  fields = {}
  for part in parts:
    field, _, value = part.partition("=")
    path = f"finetune.{field.strip().removeprefix('finetune.')}"
    path = _checked(SweepConfig(), path, f"probe {name}")
    parsed = _parse(SweepConfig(), path, value.strip(), f"probe {name}")
    short = path.removeprefix("finetune.")
    if short in fields:
      raise ValueError(f"probe {name} gives {short} twice; give it once")
    fields[short] = parsed
  return name, nest(fields)


def format_task(name: str, fields: Mapping[str, Any]) -> str:
  """Return a task that probes as `parse_task` reads it.

  Args:
    name: its name.
    fields: {dotted name of a field of `finetune`: value}.
  """

  def text(value: Any) -> str:
    if isinstance(value, tuple):
      return "+".join(map(text, value))
    return repr(value) if isinstance(value, float) else str(value)

  parts = [f"{field}={text(value)}" for field, value in fields.items()]
  return f"{name}:{';'.join(parts)}"


def _fields(config: SweepConfig, arm: str) -> dict[str, Any]:
  """Return the fields of an arm by the dotted names of its own group."""
  changed = flatten_fields(config.arms.get(arm, {}))
  return {
    _checked(config, name, f"arm {arm}"): value
    for name, value in changed.items()
  }


def _cells(config: SweepConfig) -> dict[str, Changes]:
  """Return the combinations of the values of `grid`, by their names."""
  parts = [part.strip() for part in config.grid.split(";") if part.strip()]
  axes_: dict[str, list[Any]] = {}
  for part in parts:
    name, equals, values = part.partition("=")
    if not equals or not values:
      raise ValueError(
        f"grid={part!r} gives no values; give FIELD=VALUE,VALUE, as "
        "optimizer.learning_rate=1e-3,2e-3"
      )
    path = _checked(config, name.strip(), "grid")
    if path in axes_:
      raise ValueError(f"grid gives {path} twice; give all of its values once")
    texts = [text.strip() for text in values.split(",")]
    axes_[path] = [_parse(config, path, text, "grid") for text in texts]
    if len({*map(repr, axes_[path])}) < len(texts):
      raise ValueError(f"grid={part!r} has a value twice; give each once")
  names = _short(list(axes_))
  return {
    ",".join(
      f"{names[path]}={_text(value)}"
      for path, value in zip(axes_, values, strict=True)
    ): nest(dict(zip(axes_, values, strict=True)))
    for values in itertools.product(*axes_.values())
  }


def _choose(config: SweepConfig, arms: Sequence[str]) -> tuple[str, ...]:
  """Return the arms that run: those of the names in `chosen`, in order."""
  chosen = [_arm_of(config, name) for name in config.chosen]
  for name, arm in zip(config.chosen, chosen, strict=True):
    known = dict.fromkeys((*config.arms, *arms))
    if arm not in known:
      known |= {
        short: None
        for short, own in config.aliases.items()
        if own in config.arms
      }
      raise ValueError(
        f"arms={name}: there is no such arm; {_closest(name, list(known))}"
      )
  if not chosen:
    return tuple(arms)
  return tuple(
    arm
    for arm in arms
    if any(arm == name or arm.startswith(f"{name},") for name in chosen)
  )


def _arm_of(config: SweepConfig, name: str) -> str:
  """Return the name of an arm that may be given by its short name.

  Of a cell, as "nsp,steps=3", the first part is the arm.
  """
  if name in config.arms:
    return name
  first, comma, cell = name.partition(",")
  return f"{config.aliases.get(first, first)}{comma}{cell}"


def _checked(config: SweepConfig, name: str, where: str) -> str:
  """Return a field's name without the group that needs no name.

  Raises:
    ValueError: there is no such field, or it is not one of an axis.
  """
  own = config.trains
  name = name.removeprefix(f"{own}.")
  group, path = _split(own, name)
  if group == "pretrain" != own:
    raise ValueError(
      f"{where} changes {name}, which has no effect: the trials fine-tune a "
      "bundle; give a field of finetune"
    )
  if name in _OWN[own]:
    raise ValueError(
      f"{where} changes {name}, which the trials count up themselves; give "
      "--seeds=N for more seeds"
    )
  known = [field for _, field, _ in walk(_GROUPS[group]())]
  if path not in known:
    names = known if group == own else [f"{group}.{each}" for each in known]
    if group == "pretrain":
      names += [f"finetune.{each}" for _, each, _ in walk(FinetuneConfig())]
    raise ValueError(
      f"{where}: {name} is no field of {group}; {_closest(name, names)}"
    )
  return name


def _split(own: str, name: str) -> tuple[str, str]:
  """Return the group of a field, and its name in the group."""
  group, _, path = name.partition(".")
  return (group, path) if group in _GROUPS else (own, name)


def _parse(config: SweepConfig, name: str, text: str, where: str) -> Any:
  group, path = _split(config.trains, name)
  kind: Any = _GROUPS[group]
  for part in path.split("."):
    kind = plain(hints(kind)[part])
  try:
    return _value(kind, text)
  except ValueError:
    what = getattr(kind, "__name__", str(kind))
    raise ValueError(f"{where}: {name}={text} is no {what}; give one") from None


def _value(kind: Any, text: str) -> Any:
  """Return a text as a value of a field's type."""
  if get_origin(kind) is tuple:
    element = plain(get_args(kind)[0])
    return tuple(_value(element, part) for part in text.split("+") if part)
  if kind is bool:
    if text.lower() not in _FLAGS:
      raise ValueError(text)
    return _FLAGS[text.lower()]
  if kind is int:
    number = float(text)  # 1e4 steps
    if number != int(number):
      raise ValueError(text)
    return int(number)
  return float(text) if kind is float else text


def _text(value: Any) -> str:
  """Return a value as a part of a folder's name."""
  if isinstance(value, tuple):
    return "+".join(map(_text, value))
  if isinstance(value, float):
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
  return str(value).strip("/").replace("/", "_")


def _short(paths: Sequence[str]) -> dict[str, str]:
  """Return the last words of names, or whole names where those are alike."""
  last = [path.rpartition(".")[2] for path in paths]
  return {
    path: short if last.count(short) == 1 else path
    for path, short in zip(paths, last, strict=True)
  }


def _closest(name: str, known: Sequence[str]) -> str:
  last = name.rpartition(".")[2]
  same = [each for each in known if each.rpartition(".")[2] == last]
  near = difflib.get_close_matches(name, known, n=1)
  if same or near:
    return f"did you mean {(same or near)[0]}?"
  return f"give one of {', '.join(known)}"
