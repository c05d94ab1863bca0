# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Results as JSON: nested dataclasses that are written and read back."""

import dataclasses
import json
import pathlib
import types
from collections.abc import Mapping
from typing import Any, Self, get_args, get_origin

from bertjax.config.fields import hints

# Version of the JSON of results; files of version 1 may lack the key.
VERSION = 1
_NO_DEFAULT = (dataclasses.MISSING, dataclasses.MISSING)


@dataclasses.dataclass(frozen=True)
class JsonResult:
  """Base of results: fields are JSON values, mappings, tuples and results."""

  def to_json(self) -> dict[str, Any]:
    """Return the fields as JSON values, in their order."""
    return json.loads(json.dumps(dataclasses.asdict(self)))

  @classmethod
  def from_json(cls, saved: Mapping[str, Any]) -> Self:
    """Read what `to_json` returned; keys that are no field are ignored.

    A field that is newer than `saved` has its default.

    Raises:
      ValueError: `saved` has a newer version.
    """
    check_version(cls.__name__, saved)
    return _read(cls, saved)


def check_version(name: str | pathlib.Path, saved: Mapping[str, Any]) -> None:
  """Refuse results of a newer version.

  Raises:
    ValueError: `saved` is newer than VERSION; the message begins with `name`.
  """
  version = saved.get("version", 1)
  if version != VERSION:
    raise ValueError(
      f"{name} has version {version}, and this bertjax reads {VERSION}; "
      "install the bertjax that wrote it, or give another folder"
    )


def _read(kind: Any, value: Any) -> Any:
  """Return JSON values as the type that a field declares."""
  if isinstance(kind, type) and dataclasses.is_dataclass(kind):
    declared = hints(kind)
    newer = {
      each.name
      for each in dataclasses.fields(kind)
      if each.name not in value
      and (each.default, each.default_factory) != _NO_DEFAULT
    }
    return kind(
      **{n: _read(declared[n], value[n]) for n in declared if n not in newer}
    )
  if isinstance(kind, types.UnionType):  # a type or None
    return None if value is None else _read(get_args(kind)[0], value)
  if get_origin(kind) is tuple:
    return tuple(_read(get_args(kind)[0], each) for each in value)
  if get_origin(kind) is Mapping:
    return {n: _read(get_args(kind)[1], each) for n, each in value.items()}
  return value
