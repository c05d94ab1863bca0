# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Check a store: read every file and compare it with its checksum.

    python -m launch.doctor --store=runs/books

Prints a line for each shard and each file of the index, and exits with 1 if a
file is damaged or missing.
"""

import pathlib
from collections.abc import Sequence

import rich.console
import rich.progress
from absl import flags

from data_pipelines.store.layout import TOKENIZER
from data_pipelines.store.manifest import check_file, read_manifest
from data_pipelines.store.remote_store import fetch, is_remote
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from launch import cli


def run(path: str) -> int:
  """Check a store; return the number of damaged and missing files.

  Raises:
    ValueError: `path` is not a store.
  """
  folder = fetch(path) if is_remote(path) else pathlib.Path(path)
  manifest, _ = read_manifest(folder)
  console = rich.console.Console(highlight=False)
  entries = list(manifest.files)
  bad = 0
  for entry in rich.progress.track(
    entries, "reading", console=console, disable=not console.is_terminal
  ):
    fault = check_file(folder, entry)
    bad += fault is not None
    state = fault or f"ok, {entry.bytes:,} bytes"
    console.print(f"{entry.name}: {state}", soft_wrap=True)
  fault = _check_tokenizer(folder, manifest.tokenizer.sha256)
  bad += fault is not None
  console.print(f"tokenizer: {fault or 'ok'}", soft_wrap=True)
  if not bad:
    open_store(folder)  # raises what training would raise
  return bad


def _check_tokenizer(folder: pathlib.Path, sha256: str) -> str | None:
  try:
    found = tokenizers.load(folder / TOKENIZER).sha256
  except ValueError as error:
    return f"damaged ({error})"
  return None if found == sha256 else "changed since the store was made"


def define_flags() -> None:
  """Define the flags; not at import, since other modules call `run`."""
  flags.DEFINE_string("store", None, "Folder of the store.", required=True)


def main(_: Sequence[str]) -> None:
  """Check the store of --store."""
  path = flags.FLAGS.store
  if bad := run(path):
    raise ValueError(
      f"{bad} file{'s' * (bad > 1)} of {path} damaged or missing; prepare the "
      "store again"
    )
  print(f"{path} is whole")


if __name__ == "__main__":
  define_flags()
  cli.run(main)
