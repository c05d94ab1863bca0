# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find and open files by path, folder or glob, here or in a bucket."""

import contextlib
import dataclasses
import glob
import hashlib
import io
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import fsspec

from bertjax.files import first_line

_BUFFER = 1 << 20  # bytes
# Protocol → the package that fsspec needs, and our extra that installs it.
_EXTRAS = {
  "gs": ("gcsfs", "gcs"),
  "gcs": ("gcsfs", "gcs"),
  "s3": ("s3fs", "s3"),
  "s3a": ("s3fs", "s3"),
}


@dataclasses.dataclass(frozen=True)
class File:
  """A file that this process or another one can read.

  Attributes:
    name: path or URL, for messages.
    size: bytes as stored, 0 if the file system does not say.
    path: path on its file system.
    filesystem: an fsspec file system; None for this machine's own.
  """

  name: str
  size: int
  path: str
  filesystem: Any = None

  @contextlib.contextmanager
  def opened(self) -> Iterator[io.BufferedReader]:
    """Open the file as it is stored, without decompressing.

    Raises:
      ValueError: it cannot be opened or read.
    """
    with reraise_readably(self.name, remote=self.filesystem is not None):
      if self.filesystem is None:
        opened: Any = io.FileIO(self.path)
      else:
        opened = self.filesystem.open(self.path, "rb")
      with opened, io.BufferedReader(opened, _BUFFER) as file:
        yield file

  def digest(self) -> bytes:
    """Return the SHA-256 of the file as it is stored."""
    with self.opened() as raw:
      return hashlib.file_digest(raw, "sha256").digest()


def find_files(part: str, known: Callable[[str], bool]) -> list[File]:
  """Return the files that `part` names, in a fixed order.

  Args:
    part: a file, a glob, or a folder, as a path or as any URL of fsspec. A
      folder stands for all known files below it, without hidden files and
      hidden folders.
    known: returns whether a file of this name can be read.

  Raises:
    ValueError: no file is found, or the place cannot be read.
  """
  found = _remote(part, known) if "://" in part else _local(part, known)
  if not found:
    what = "matches no file" if glob.has_magic(part) else "does not exist"
    raise ValueError(
      f"corpus {part} {what}; give a file, folder or glob that exists"
    )
  return found


def _local(part: str, known: Callable[[str], bool]) -> list[File]:
  path = pathlib.Path(part).expanduser()
  with reraise_readably(part, remote=False):
    if path.is_dir():
      paths = [pathlib.Path(n) for n in sorted(_below(path)) if known(n)]
      _check_folder(part, paths)
    elif path.exists():
      paths = [path]
    else:
      matches = sorted(glob.glob(str(path), recursive=True))
      paths = [match for match in map(pathlib.Path, matches) if match.is_file()]
    return [File(str(path), path.stat().st_size, str(path)) for path in paths]


def _below(folder: pathlib.Path) -> Iterator[str]:
  """Yield files below a folder; follows links and visits no folder twice."""
  seen = set[str]()
  walk = os.walk(folder, onerror=_raise, followlinks=True)
  for place, folders, names in walk:
    real = os.path.realpath(place)
    if real in seen:
      folders.clear()
      continue
    seen.add(real)
    # Sorted, so that the same one of two links to a folder always comes first.
    folders[:] = sorted(name for name in folders if not _is_hidden([name]))
    yield from (
      os.path.join(place, name) for name in names if not _is_hidden([name])
    )


def _raise(error: OSError) -> None:
  raise error


def _remote(part: str, known: Callable[[str], bool]) -> list[File]:
  filesystem, path = open_filesystem(part)
  with reraise_readably(part, remote=True):
    try:
      info = filesystem.info(path)
    except FileNotFoundError:
      found = _matches(filesystem, path)
    else:
      found = {path: info}
      if not _is_file(info):
        found = _remote_folder(filesystem, path.rstrip("/") + "/", known)
        _check_folder(part, found)
  return [
    File(
      filesystem.unstrip_protocol(name),
      found[name].get("size") or 0,
      name,
      filesystem,
    )
    for name in sorted(found)
  ]


def _matches(filesystem: Any, pattern: str) -> dict[str, Any]:
  """Find files by a glob; as on a local disk, `*` matches no hidden file."""
  if not glob.has_magic(pattern):
    return {}
  steps = set(pattern.split("/"))
  hidden = any(step[:1] == "." and glob.has_magic(step) for step in steps)
  return {
    name: info
    for name, info in filesystem.glob(pattern, detail=True).items()
    if _is_file(info)
    and (hidden or not _is_hidden(set(name.split("/")) - steps))
  }


def _remote_folder(
  filesystem: Any, root: str, known: Callable[[str], bool]
) -> dict[str, Any]:
  return {
    name: info
    for name, info in filesystem.find(root, detail=True).items()
    if _is_file(info)
    and known(name)
    and not _is_hidden(name.removeprefix(root).split("/"))
  }


def _is_hidden(steps: Iterable[str]) -> bool:
  return any(step.startswith(".") for step in steps)


def open_filesystem(url: str) -> tuple[Any, str]:
  """Return an fsspec file system, and the path on it that `url` names.

  Raises:
    ValueError: the protocol is unknown or its package is not installed.
  """
  protocol = url.partition("://")[0].rpartition("::")[2]
  with reraise_readably(url, remote=True):
    try:
      return fsspec.core.url_to_fs(url)
    except ImportError:
      if protocol not in _EXTRAS:
        raise
      package, extra = _EXTRAS[protocol]
      raise ValueError(
        f"{url} needs {package}; pip install 'bertjax[{extra}]'"
      ) from None
    except ValueError as error:
      raise ValueError(f"{url}: {first_line(error)}") from None


def _is_file(info: dict[str, Any]) -> bool:
  return info.get("type") == "file"


def _check_folder(part: str, found: Any) -> None:
  if not found:
    raise ValueError(
      f"corpus {part} is a folder without a file of a known format; give "
      "another folder, or files"
    )


class ReadError(ValueError):
  """Reading failed, but may succeed later, as after a network failure."""


# Errors that do not go away by trying again.
_PERMANENT = (
  FileNotFoundError,
  IsADirectoryError,
  NotADirectoryError,
  PermissionError,
)


@contextlib.contextmanager
def reraise_readably(
  name: str, *, remote: bool, action: str = "read"
) -> Iterator[None]:
  """Turn errors of file systems into a `ValueError` of one line.

  Args:
    name: path or URL that is read or written.
    remote: whether it is in a bucket; clients raise exceptions of any type.
    action: the verb of the message, "read" or "write".

  Raises:
    ReadError: the same may succeed later.
    ValueError: it will fail again.
  """
  try:
    yield
  except OSError as error:
    # The error may name a file inside the folder `name`.
    place = name if remote else error.filename or name
    kind = ValueError if isinstance(error, _PERMANENT) else ReadError
    raise kind(f"cannot {action} {place}: {error.strerror or error}") from None
  except ValueError:
    raise
  except Exception as error:
    if not remote:
      raise
    kind_name, line = type(error).__name__, first_line(error)
    raise ReadError(f"cannot {action} {name}: {kind_name}: {line}") from error
