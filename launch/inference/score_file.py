# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A file of scores, which says of which model and data they are."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from launch.commands import output_paths
from launch.inference.outputs import shorten_hash

_FIX = "give another --output, or delete it"


def check(path: pathlib.Path, identity: Mapping[str, str]) -> None:
  """Refuse a file that would be lost, but for scores of the same identity.

  Args:
    path: file that will hold scores, and their `identity` among them.
    identity: what determines these scores.

  Raises:
    ValueError: `path` cannot be a file of ours, or is another file.
  """
  output_paths.check_file("output", path)
  if not path.exists():
    return
  known = _identity_of(path)
  if not isinstance(known, dict) or known.keys() != identity.keys():
    raise ValueError(
      f"{path} exists, and nothing says that it has scores of this model and "
      f"split; {_FIX}"
    )
  for name, new in identity.items():
    if known[name] != new and not _is_older_path(name, known[name], new):
      raise ValueError(
        f"{path} has scores of another {name} ({shorten_hash(known[name])} "
        f"there, {shorten_hash(new)} now); {_FIX}"
      )


def _is_older_path(name: str, known: Any, new: str) -> bool:
  """Return whether a split is a file that a user spelled as it is known.

  Earlier versions kept the path as it was given, maybe a relative one.
  """
  return name == "split" and str(pathlib.Path(str(known)).resolve()) == new


def _identity_of(path: pathlib.Path) -> Any:
  try:
    saved = json.loads(path.read_bytes())
  except (ValueError, RecursionError):
    return None
  return saved.get("identity") if isinstance(saved, dict) else None
