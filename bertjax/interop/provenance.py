# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle's details, kept beside weights that are exported.

transformers ignores the file. It holds the hash of the weights that it was
written with and is ignored beside other weights: weights that were trained
further have another history.
"""

import dataclasses
import json
import pathlib

from bertjax import files
from bertjax.checkpoints.bundle import Details
from bertjax.config import renamed

RECORD = "bertjax.json"
FORMAT_VERSION = 1


def write_provenance(
  weights: pathlib.Path, details: Details, layout: str = ""
) -> pathlib.Path:
  """Write a bundle's details beside the file `weights`; return the path.

  Config and folder of the origin are left out: they are of the machine that the
  training ran on.

  Args:
    weights: the file.
    details: the details.
    layout: name of the format of the folder.
  """
  origin = {n: v for n, v in (details.origin or {}).items() if n != "path"}
  public = dataclasses.replace(
    details, config=None, versions=None, written_by="", origin=origin or None
  )
  record = {
    "format_version": FORMAT_VERSION,
    "details": public.to_json(),
    "layout": layout,
    "weights_sha256": files.sha256_of(weights),
  }
  path = weights.with_name(RECORD)
  files.write_json(path, record, sort_keys=True)
  return path


def read_layout(weights: pathlib.Path) -> str | None:
  """Return the `layout` that was written with `weights`.

  Returns:
    "" for a record of an earlier version; None where there is no record, or the
    weights are not those that it was written with.
  """
  try:
    record = json.loads(weights.with_name(RECORD).read_bytes())
    if record["weights_sha256"] == files.sha256_of(weights):
      return str(record.get("layout", ""))
  except (OSError, ValueError, KeyError, TypeError, AttributeError):
    pass
  return None


def read_provenance(weights: pathlib.Path) -> Details | None:
  """Return the details that were written with `weights`, or None.

  Raises:
    ValueError: the file beside the weights is damaged.
  """
  path = weights.with_name(RECORD)
  if not path.is_file() or not weights.is_file():
    return None
  try:
    record = json.loads(path.read_text(encoding="utf-8"))
    known = record["weights_sha256"]
    # The first files had no version, and the same keys.
    version = record.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
      raise ValueError(
        f"its format is {version}, and this bertjax reads {FORMAT_VERSION}"
      )
    details = Details.from_json(renamed.current(record["details"]))
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f"{path} cannot be read: {error}; delete it to import the folder without "
      "its record"
    ) from error
  return details if known == files.sha256_of(weights) else None
