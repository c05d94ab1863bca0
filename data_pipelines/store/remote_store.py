# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stores in a bucket: read through a local copy, written manifest last.

Training reads records at random and maps the index into memory, which no
bucket can serve. At two bytes a token a local copy is cheap beside training.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator

from data_pipelines.corpora import filesystems
from data_pipelines.corpora.filesystems import open_filesystem, reraise_readably
from data_pipelines.store.layout import MANIFEST, TOKENIZER
from data_pipelines.store.manifest import Manifest, check_file, read_manifest


def is_remote(path: str | os.PathLike[str]) -> bool:
  """Return whether a path is a URL, as gs://bucket/store."""
  return "://" in os.fspath(path)


def cache_folder() -> pathlib.Path:
  """Return the folder of local copies, under XDG_CACHE_HOME if that is set."""
  return filesystems.cache_folder("stores")


def working_folder(url: str) -> pathlib.Path:
  """Return the folder to make the store of `url` in, or its local copy.

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
  """Copy a store to this machine, once, and return the folder of the copy.

  Shards and index are compared with their checksums here, the tokenizer when
  it is loaded. One process of a machine copies and the others wait. A copy
  that broke off goes on with the files that are not there yet.

  Raises:
    ValueError: `url` is not a store, cannot be read, or a file is damaged.
  """
  filesystem, root = open_filesystem(url)
  with reraise_readably(url, remote=True):
    try:
      manifest = filesystem.cat_file(f"{root}/{MANIFEST}")
    except FileNotFoundError:
      raise ValueError(
        f"{url} is not a store: it has no {MANIFEST}; make one with "
        f"python -m launch.prepare --output={url}"
      ) from None
  target = _copy(manifest)
  with _locked(target):
    if not target.is_dir():
      begun = target.with_name(target.name + ".begun")
      begun.mkdir(exist_ok=True)
      (begun / MANIFEST).write_bytes(manifest)
      _fetch_files(url, begun, read_manifest(begun)[0])
      begun.rename(target)
  return target


def _fetch_files(url: str, folder: pathlib.Path, manifest: Manifest) -> None:
  """Copy the files of a store but its manifest, those that are there excepted.

  Raises:
    ValueError: a file cannot be read, or is damaged; the others stay.
  """
  filesystem, root = open_filesystem(url)

  def get(name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    with reraise_readably(url, remote=True):
      filesystem.get_file(f"{root}/{name}", str(folder / name))
    with (folder / name).open("rb") as file:
      os.fsync(file.fileno())

  for entry in manifest.files:
    if check_file(folder, entry) is None:
      continue
    get(entry.name)
    if fault := check_file(folder, entry):
      (folder / entry.name).unlink(missing_ok=True)
      raise ValueError(
        f"{url}/{entry.name} is {fault}; prepare the store again"
      )
  with reraise_readably(url, remote=True):
    tokenizer = list(filesystem.find(f"{root}/{TOKENIZER}"))
  for path in tokenizer:
    get(f"{TOKENIZER}/{path.rpartition('/')[2]}")


def publish(folder: pathlib.Path, url: str) -> None:
  """Copy a store to a bucket, its manifest last, which makes it a store there.

  The local folder becomes the copy that `fetch` finds. A bucket that holds a
  store already is left as it is.

  Raises:
    ValueError: the bucket cannot be written.
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
  """Copy files of `folder` to the same relative paths below `url`.

  Raises:
    ValueError: the bucket cannot be written.
  """
  filesystem, root = open_filesystem(url)
  with reraise_readably(url, remote=True, action="write"):
    for path in sorted(paths):
      name = f"{root}/{path.relative_to(folder).as_posix()}"
      filesystem.makedirs(name.rpartition("/")[0], exist_ok=True)
      filesystem.put_file(str(path), name)


def _copy(manifest: bytes) -> pathlib.Path:
  return cache_folder() / hashlib.sha256(manifest).hexdigest()[:16]


@contextlib.contextmanager
def _locked(target: pathlib.Path) -> Iterator[None]:
  target.parent.mkdir(parents=True, exist_ok=True)
  with target.with_name(target.name + ".lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
