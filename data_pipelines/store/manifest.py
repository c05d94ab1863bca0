# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a store: what it holds and every file's checksum.

A folder without a manifest is no store; the sha256 of the manifest's bytes is
the identity of the store.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from bertjax.files import first_line
from data_pipelines.store.layout import FORMAT, MANIFEST, SPECIALS, VERSION


def file_entry(path: pathlib.Path) -> dict[str, Any]:
  """Name, size and sha256 of a file, as the manifest holds them."""
  with path.open("rb") as file:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
  return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def write_manifest(
  folder: str | os.PathLike[str],
  *,
  source: Mapping[str, Any],
  tokenizer: Mapping[str, Any],
  splits: Mapping[str, Mapping[str, Any]],
) -> None:
  """Write the manifest, which makes a folder a store.

  Args:
    folder: where the splits and `tokenizer/` already lie.
    source: what the text was and how it was cut: plain JSON, without times,
      hosts or absolute paths, because equal corpora give equal stores.
    tokenizer: `name`, `sha256`, `vocab_size`, and `special_ids`: the ids of
      `pad`, `unk`, `cls`, `sep` and `mask`, which rows are put together with.
    splits: what each `SplitWriter.finish` returned, by name.
  """
  manifest = {
    "format": FORMAT,
    "version": VERSION,
    "source": dict(source),
    "tokenizer": {
      **{key: tokenizer[key] for key in ("name", "sha256", "vocab_size")},
      "special_ids": {
        key: int(tokenizer["special_ids"][key]) for key in SPECIALS
      },
    },
    "splits": {name: dict(entry) for name, entry in splits.items()},
  }
  text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
  partial = pathlib.Path(folder) / (MANIFEST + ".partial")
  partial.write_text(text, encoding="utf-8")
  partial.replace(partial.with_name(MANIFEST))


def commit(
  partial: str | os.PathLike[str], output: str | os.PathLike[str]
) -> None:
  """Rename a finished store into place, in one step.

  Raises:
    ValueError: `partial` has no manifest, or `output` is there already.
  """
  source, target = pathlib.Path(partial), pathlib.Path(output)
  if not (source / MANIFEST).is_file():
    raise ValueError(f"{source} has no {MANIFEST}; finish it before commit")
  if target.exists():
    raise ValueError(f"{target} is there already; give another output")
  source.rename(target)


def read_manifest(folder: pathlib.Path) -> tuple[dict[str, Any], str]:
  """Manifest of a store, and the sha256 of its bytes.

  Raises:
    ValueError: there is none, or it has another format or version.
  """
  path = folder / MANIFEST
  try:
    text = path.read_bytes()
  except OSError:
    raise ValueError(
      f"{folder} is no store: it has no {MANIFEST}; make one with "
      "python -m launch.prepare --output=DIR"
    ) from None
  try:
    manifest = json.loads(text)
  except ValueError as error:
    raise ValueError(
      f"{path} is not JSON ({first_line(error)}); prepare the store again"
    ) from None
  found = (
    (manifest.get("format"), manifest.get("version"))
    if isinstance(manifest, dict)
    else (None, None)
  )
  if found != (FORMAT, VERSION):
    raise ValueError(
      f"{path} has format {found[0]!r} version {found[1]!r}; this bertjax "
      f"reads {FORMAT!r} version {VERSION}: prepare the store again"
    )
  return manifest, hashlib.sha256(text).hexdigest()


def check_sizes(folder: pathlib.Path, manifest: Mapping[str, Any]) -> None:
  """Raise a `ValueError` where a file is missing or has another size."""
  for entry in file_entries(manifest):
    if fault := _check_size(folder, entry):
      raise ValueError(
        f"{folder / entry['name']} is {fault}; prepare the store again"
      )


def check_digests(folder: pathlib.Path, manifest: Mapping[str, Any]) -> None:
  """Raise a `ValueError` where a file's sha256 is not the manifest's."""
  for entry in file_entries(manifest):
    if fault := check_file(folder, entry):
      raise ValueError(
        f"{folder / entry['name']} is {fault}; prepare the store again"
      )


def check_file(folder: pathlib.Path, entry: Mapping[str, Any]) -> str | None:
  """Read one file of a store; returns what is wrong with it, if anything."""
  fault = _check_size(folder, entry)
  if fault is None and (
    file_entry(folder / entry["name"])["sha256"] != entry["sha256"]
  ):
    return "damaged: its sha256 is not the manifest's"
  return fault


def _check_size(folder: pathlib.Path, entry: Mapping[str, Any]) -> str | None:
  file = folder / entry["name"]
  size = file.stat().st_size if file.is_file() else None
  if size == entry["bytes"]:
    return None
  state = "missing" if size is None else f"{size} bytes long"
  return f"{state}; its manifest says {entry['bytes']} bytes"


def file_entries(manifest: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
  """Name, bytes and sha256 of every shard and index file."""
  for split in manifest["splits"].values():
    yield from split["shards"]
    yield from split["index"].values()
