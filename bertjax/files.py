# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write files and folders atomically, hash them, and put faults in words.

A reader sees the old content or the new content and never a part of it, also
after a crash: data is flushed to the disk before it takes its final name.
"""

import contextlib
import errno
import hashlib
import json
import numbers
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

# No room on the disk, none in the user's quota, none in a file.
NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
  """Name the file in an error of the system, such as that of a full disk.

  Python names it where a file cannot be opened, and not where it cannot be
  written.
  """
  try:
    yield
  except OSError as error:
    if error.errno is None or error.filename is not None:
      raise
    raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def follow(path: str | os.PathLike[str]) -> pathlib.Path:
  """Return where a link points, and any other path as it is.

  What takes the place of a path by a rename takes that of a link itself, and
  then lies on another disk than the user chose.
  """
  given = pathlib.Path(path)
  return pathlib.Path(os.path.realpath(given)) if given.is_symlink() else given


def write_bytes(path: str | pathlib.Path, content: bytes) -> None:
  """Replace the file at `path` by `content`, atomically and durably.

  The folder of the file is made where it is missing, and a link is followed.
  """
  path = follow(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  # The process id keeps two writers of one file out of each other's way.
  partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
  try:
    with naming(path), partial.open("wb") as stream:
      stream.write(content)
      stream.flush()
      os.fsync(stream.fileno())
    partial.replace(path)
  except BaseException:
    partial.unlink(missing_ok=True)
    raise
  _sync_folder(path.parent)


def write_text(path: str | pathlib.Path, text: str) -> None:
  """Replace the file at `path` by `text` in UTF-8, atomically and durably."""
  write_bytes(path, text.encode())


def write_json(
  path: str | pathlib.Path,
  value: Any,
  *,
  sort_keys: bool = False,
  allow_nan: bool = True,
) -> None:
  """Replace the file at `path` by `value` as indented JSON with a newline.

  Raises:
    ValueError: without `allow_nan`, a number that JSON has no word for.
  """
  text = json.dumps(
    value,
    indent=2,
    sort_keys=sort_keys,
    ensure_ascii=False,
    allow_nan=allow_nan,
  )
  write_text(path, text + "\n")


def aside(folder: pathlib.Path) -> pathlib.Path:
  """Return where a folder stands while another one takes its place.

  No user has a folder of that name: one that is called `folder.old` may be the
  user's own copy, and stays.
  """
  return folder.with_name(f".{folder.name}.replaced")


@contextlib.contextmanager
def replace_folder(target: str | pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield an empty folder that takes the place of `target` at the end.

  A link is followed, so that the folder is made where the link points. Where
  the block raises, the new folder is deleted and `target` stays. A
  process that dies between the two renames at the end leaves the old folder
  `aside`, and the next call puts it back first.
  """
  target = follow(target)
  partial = target.with_name(f".{target.name}.partial")
  old = aside(target)
  if old.is_dir() and not target.exists():
    old.rename(target)
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    yield partial
    _sync_tree(partial)
  except BaseException:
    shutil.rmtree(partial, ignore_errors=True)
    raise
  if target.is_dir():
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
  partial.rename(target)
  _sync_folder(target.parent)
  shutil.rmtree(old, ignore_errors=True)


def sha256_of(path: str | pathlib.Path) -> str:
  """Return the hexadecimal SHA-256 of a file, read in chunks of 1 MiB."""
  digest = hashlib.sha256()
  with pathlib.Path(path).open("rb") as stream:
    while chunk := stream.read(_CHUNK_BYTES):
      digest.update(chunk)
  return digest.hexdigest()


def sha256_of_folder(folder: str | pathlib.Path) -> dict[str, str]:
  """Return the SHA-256 of each file below `folder`, by its relative path."""
  folder = pathlib.Path(folder)
  return {
    str(path.relative_to(folder)): sha256_of(path)
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


def first_line(error: BaseException) -> str:
  """Return the first line of an exception's message, or its type's name.

  Punctuation at the end of the line is dropped, so that the line can stand
  inside another message.
  """
  line = str(error).strip().partition("\n")[0].rstrip(".;: \r")
  return line or type(error).__name__


def describe_json(value: Any) -> str:
  """Return the kind of a value, such as "null", "a number" or "an object".

  Other values than those of JSON, such as the dates of parquet, have the name
  of their type.
  """
  if value is None:
    return "null"
  if isinstance(value, bool):
    return str(value).lower()
  for kind, word in (
    (str, "a string"),
    (numbers.Number, "a number"),
    (list | tuple, "a list"),
    (Mapping, "an object"),
  ):
    if isinstance(value, kind):
      return word
  return f"a {type(value).__name__}"


def _sync_tree(folder: pathlib.Path) -> None:
  """Flush every file below `folder` to the disk."""
  for path in sorted(folder.rglob("*")):
    if path.is_file():
      with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: pathlib.Path) -> None:
  """Flush the names in `folder` to the disk, where the system can do that."""
  with contextlib.suppress(OSError):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
      os.fsync(descriptor)
    finally:
      os.close(descriptor)
