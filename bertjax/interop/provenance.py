# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle says of itself, kept beside weights in another layout.

transformers ignores the file. It counts for the weights it was written with
and for no others: whoever trains them further starts from what it says, and
must not inherit it.
"""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

RECORD = "bertjax.json"
# `config` has paths of the machine that it was run on.
_PRIVATE = ("config", "versions")


def write_provenance(
  weights: pathlib.Path, details: Mapping[str, Any]
) -> pathlib.Path:
  """Write a bundle's details beside the file `weights`; return where."""
  record = {
    "details": {
      name: value for name, value in details.items() if name not in _PRIVATE
    },
    "weights_sha256": weights_sha256(weights),
  }
  path = weights.with_name(RECORD)
  path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
  return path


def read_provenance(weights: pathlib.Path) -> dict[str, Any] | None:
  """Return the details that were written with `weights`, if any were.

  Raises:
    ValueError: the file beside them is damaged.
  """
  path = weights.with_name(RECORD)
  if not path.is_file() or not weights.is_file():
    return None
  try:
    record = json.loads(path.read_text(encoding="utf-8"))
    known, details = record["weights_sha256"], dict(record["details"])
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f"{path} cannot be read ({error}); without it the folder is read as any "
      "other's"
    ) from error
  return details if known == weights_sha256(weights) else None


def weights_sha256(weights: pathlib.Path) -> str:
  """Return the sha256 of a file."""
  with weights.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()
