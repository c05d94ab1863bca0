# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Config dataclasses from nested mappings, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_origin

from bertjax.config.fields import check_types, hints, plain
from bertjax.config.renamed import instead, refuse

T = TypeVar("T")


def from_mapping(kind: type[T], mapping: Mapping[str, Any]) -> T:
  """Build dataclass `kind` from a nested mapping of its fields.

  A field that is not given has its default; an int is taken for a float, and
  a list (JSON has no tuples) for a tuple.

  Raises:
    ValueError: a name that `kind` does not have, a value that its field does
      not take, or a name or a value that an earlier version had.
  """
  config = _build(kind, mapping, "")
  check_types(config)
  return config


def to_mapping(config: Any) -> dict[str, Any]:
  """Return a config as nested dictionaries, the inverse of `from_mapping`."""
  return dataclasses.asdict(config)


def flatten_fields(
  values: Mapping[str, Any], prefix: str = ""
) -> dict[str, Any]:
  """Return {"a": {"b": x}} as {"a.b": x}: a field is named as its flag is."""
  fields: dict[str, Any] = {}
  for name, value in values.items():
    if isinstance(value, Mapping):
      fields |= flatten_fields(value, f"{prefix}{name}.")
    else:
      fields[prefix + name] = value
  return fields


def nest(flat: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
  """Return {"a.b": x} as {"a": {"b": x}}, the inverse of `flatten_fields`."""
  nested: dict[str, Any] = {}
  for path, value in flat.items():
    *groups, name = path.split(separator)
    place = nested
    for group in groups:
      place = place.setdefault(group, {})
    place[name] = value
  return nested


def _build(kind: type[T], mapping: Mapping[str, Any], prefix: str) -> T:
  declared = hints(kind)
  values = {}
  for name, value in mapping.items():
    path = prefix + name
    refuse(path, value)
    if name not in declared:
      other = instead(path)
      raise ValueError(
        f"{path} is no field of {kind.__name__}; "
        + (
          f"give {other}" if other else f"it has {', '.join(sorted(declared))}"
        )
      )
    if dataclasses.is_dataclass(declared[name]):
      if not isinstance(value, Mapping):
        raise ValueError(
          f"{path}={value!r} is one value; give a field of {path}, as "
          f"{path}.{next(iter(hints(declared[name])))}"
        )
      values[name] = _build(declared[name], value, f"{path}.")
    else:
      values[name] = _converted(plain(declared[name]), value)
  return kind(**values)


def _converted(kind: Any, value: Any) -> Any:
  if kind is float and isinstance(value, int) and not isinstance(value, bool):
    return float(value)
  if get_origin(kind) is tuple and isinstance(value, list):
    return tuple(value)
  return value
