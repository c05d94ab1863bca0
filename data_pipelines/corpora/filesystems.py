# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files by name, glob or folder, on this machine or in a bucket."""

import contextlib
import dataclasses
import glob
import io
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import fsspec

from data_pipelines.corpora.records import first_line

_BUFFER = 1 << 20  # bytes
# What fsspec needs for a protocol, and the extra of this package with it.
_EXTRAS = {
  "gs": ("gcsfs", "gcs"),
  "gcs": ("gcsfs", "gcs"),
  "s3": ("s3fs", "s3"),
  "s3a": ("s3fs", "s3"),
}


@dataclasses.dataclass(frozen=True)
class File:
  """A file that can be read, also in another process.

  Attributes:
    name: its path or URL, as messages give it.
    size: bytes as it lies there, 0 where nobody tells.
    path: where it is on its file system.
    filesystem: of fsspec; None for this machine's own.
  """

  name: str
  size: int
  path: str
  filesystem: Any = None

  @contextlib.contextmanager
  def opened(self) -> Iterator[io.BufferedReader]:
    """The file as it lies there.

    Raises:
      ValueError: it cannot be opened or read.
    """
    with told(self.name, remote=self.filesystem is not None):
      if self.filesystem is None:
        opened: Any = io.FileIO(self.path)
      else:
        opened = self.filesystem.open(self.path, "rb")
      with opened, io.BufferedReader(opened, _BUFFER) as file:
        yield file


def find(part: str, known: Callable[[str], bool]) -> list[File]:
  """Files that `part` names, in a fixed order.

  Args:
    part: a file, a glob of files, or a folder, as a path or as any URL of
      fsspec. Of a folder all known files below it are taken, hidden ones and
      hidden folders left out.
    known: whether a file of this name can be read.

  Raises:
    ValueError: there is none, or the place cannot be read.
  """
  found = _remote(part, known) if "://" in part else _local(part, known)
  if not found:
    what = "matches no file" if glob.has_magic(part) else "does not exist"
    raise ValueError(f"corpus {part} {what}; give stdlib, files or globs")
  return found


def _local(part: str, known: Callable[[str], bool]) -> list[File]:
  path = pathlib.Path(part).expanduser()
  with told(part, remote=False):
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
  """Files below a folder, through links, however they run in circles."""
  seen = set[str]()
  walk = os.walk(folder, onerror=_raise, followlinks=True)
  for place, folders, names in walk:
    real = os.path.realpath(place)
    if real in seen:
      folders.clear()
      continue
    seen.add(real)
    # Which of two ways to a folder comes first must not be chance.
    folders[:] = sorted(name for name in folders if not _is_hidden([name]))
    yield from (
      os.path.join(place, name) for name in names if not _is_hidden([name])
    )


def _raise(error: OSError) -> None:
  raise error


def _remote(part: str, known: Callable[[str], bool]) -> list[File]:
  filesystem, path = open_filesystem(part)
  with told(part, remote=True):
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
  """Files that a glob names; as on this machine, `*` is no hidden one."""
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
  """A file system of fsspec, and the path on it.

  Raises:
    ValueError: nobody knows how to open it.
  """
  protocol = url.partition("://")[0].rpartition("::")[2]
  with told(url, remote=True):
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
      f"corpus {part} is a folder without a file that can be read; give "
      "another, or files"
    )


class ReadError(ValueError):
  """What may be read another time, as after a network has failed."""


# What trying again does not mend.
_LASTING = (
  FileNotFoundError,
  IsADirectoryError,
  NotADirectoryError,
  PermissionError,
)


@contextlib.contextmanager
def told(name: str, *, remote: bool, what: str = "read") -> Iterator[None]:
  """Say in one line what could not be read, or written."""
  try:
    yield
  except OSError as error:
    # Of a folder, the file in it that is meant.
    which = name if remote else error.filename or name
    kind = ValueError if isinstance(error, _LASTING) else ReadError
    raise kind(f"cannot {what} {which}: {error.strerror or error}") from None
  except ValueError:
    raise
  except Exception as error:
    # The clients of buckets have exceptions of their own.
    if not remote:
      raise
    line = str(error).partition("\n")[0]
    raise ReadError(
      f"cannot {what} {name}: {type(error).__name__}: {line}"
    ) from error
