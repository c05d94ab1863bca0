# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Dataclasses from nested mappings, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from bertjax.config.renamed import refuse

T = TypeVar("T")


def from_mapping(kind: type[T], mapping: Mapping[str, Any]) -> T:
  """Build dataclass `kind` from a nested mapping of its fields.

  Raises:
    ValueError: a name that `kind` does not have, a value of another type, or
      a name or a value that an earlier version had.
  """
  return _build(kind, mapping, "")


def _build(kind: type[T], mapping: Mapping[str, Any], prefix: str) -> T:
  hints = get_type_hints(kind)
  values = {}
  for name, value in mapping.items():
    refuse(prefix + name, value)
    if name not in hints:
      raise ValueError(
        f"{prefix}{name} is no field of {kind.__name__}; it has "
        f"{', '.join(sorted(hints))}"
      )
    if dataclasses.is_dataclass(hints[name]):
      values[name] = _build(hints[name], value, f"{prefix}{name}.")
    else:
      values[name] = _scalar(hints[name], value, prefix + name)
  return kind(**values)


def _scalar(kind: Any, value: Any, name: str) -> Any:
  if kind is float and isinstance(value, int) and not isinstance(value, bool):
    return float(value)
  # bool is a subclass of int, and a flag given as a count is a mistake.
  if isinstance(kind, type) and type(value) is not kind:
    raise ValueError(
      f"{name}={value!r} is a {type(value).__name__}; give a {kind.__name__}"
    )
  return value


def to_mapping(config: Any) -> dict[str, Any]:
  """Nested plain dictionary of a config, the inverse of `from_mapping`."""
  return dataclasses.asdict(config)
