# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stores in a bucket: read through a local copy, written manifest last.

Rows are read from a store at random and its index is mapped into memory,
which no bucket serves: at two bytes a token a copy is cheap beside training.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from data_pipelines.corpora.filesystems import open_filesystem, reraise_readably
from data_pipelines.store.layout import MANIFEST
from data_pipelines.store.manifest import (
  check_digests,
  file_entries,
  read_manifest,
)


def is_remote(path: str | os.PathLike[str]) -> bool:
  """Whether it is a URL, as gs://bucket/store."""
  return "://" in os.fspath(path)


def cache_folder() -> pathlib.Path:
  """Where copies of stores are kept; under XDG_CACHE_HOME if that is set."""
  home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  return pathlib.Path(home).expanduser() / "bertjax" / "stores"


def working_folder(url: str) -> pathlib.Path:
  """Where the store that goes to `url` is made, or a copy if it is there.

  Raises:
    ValueError: the bucket cannot be read.
  """
  filesystem, root = open_filesystem(url)
  with reraise_readably(url, remote=True):
    if filesystem.exists(f"{root}/{MANIFEST}"):
      return fetch(url)
  cache_folder().mkdir(parents=True, exist_ok=True)
  name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
  return cache_folder() / f"made-{name}"


def fetch(url: str) -> pathlib.Path:
  """Copy a store to this machine, once, and return the folder.

  Shards and index are compared with their checksums, the tokenizer's pieces
  when they are loaded. Processes of one machine wait for the first of them.

  Raises:
    ValueError: no store there, it cannot be read, or a file is damaged.
  """
  filesystem, root = open_filesystem(url)
  with reraise_readably(url, remote=True):
    try:
      manifest = filesystem.cat_file(f"{root}/{MANIFEST}")
    except FileNotFoundError:
      raise ValueError(
        f"{url} is no store: it has no {MANIFEST}; make one with "
        f"python -m launch.prepare --output={url}"
      ) from None
  target = _copy(manifest)
  with _locked(target):
    if not target.is_dir():
      partial = target.with_name(target.name + ".partial")
      shutil.rmtree(partial, ignore_errors=True)
      partial.mkdir()
      (partial / MANIFEST).write_bytes(manifest)
      parsed, _ = read_manifest(partial)
      with reraise_readably(url, remote=True):
        for name in _files(parsed, filesystem, root):
          (partial / name).parent.mkdir(exist_ok=True)
          filesystem.get_file(f"{root}/{name}", str(partial / name))
      check_digests(partial, parsed)
      partial.rename(target)
  return target


def publish(folder: pathlib.Path, url: str) -> None:
  """Move a store to a bucket; its manifest goes last and makes it one.

  What stays here is the copy that `fetch` finds. A bucket that holds a store
  is left as it is.

  Raises:
    ValueError: it cannot be written.
  """
  filesystem, root = open_filesystem(url)
  manifest = (folder / MANIFEST).read_bytes()
  with reraise_readably(url, remote=True):
    if filesystem.exists(f"{root}/{MANIFEST}"):
      return
  paths = [path for path in folder.rglob("*") if path.is_file()]
  add(folder, [path for path in paths if path.name != MANIFEST], url)
  with reraise_readably(url, remote=True, action="write"):
    filesystem.pipe_file(f"{root}/{MANIFEST}", manifest)
  target = _copy(manifest)
  with _locked(target):
    if not target.is_dir():
      folder.rename(target)


def add(folder: pathlib.Path, paths: Iterable[pathlib.Path], url: str) -> None:
  """Copy files of `folder` to the same places of a bucket.

  Raises:
    ValueError: they cannot be written.
  """
  filesystem, root = open_filesystem(url)
  with reraise_readably(url, remote=True, action="write"):
    for path in sorted(paths):
      name = f"{root}/{path.relative_to(folder).as_posix()}"
      filesystem.makedirs(name.rpartition("/")[0], exist_ok=True)
      filesystem.put_file(str(path), name)


def _copy(manifest: bytes) -> pathlib.Path:
  return cache_folder() / hashlib.sha256(manifest).hexdigest()[:16]


def _files(manifest: Any, filesystem: Any, root: str) -> Iterator[str]:
  for entry in file_entries(manifest):
    yield entry["name"]
  for path in filesystem.find(f"{root}/tokenizer"):
    yield f"tokenizer/{path.rpartition('/')[2]}"


@contextlib.contextmanager
def _locked(target: pathlib.Path) -> Iterator[None]:
  target.parent.mkdir(parents=True, exist_ok=True)
  with target.with_name(target.name + ".lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
