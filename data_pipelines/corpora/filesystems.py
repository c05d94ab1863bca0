# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Open files here or in a bucket, with errors of one line."""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
from collections.abc import Iterator, Mapping
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
# What file systems call the tag or the time of a file's content.
_VERSIONS = (
  *("etag", "ETag", "md5Hash", "generation", "mtime"),
  *("LastModified", "last_modified", "updated", "created"),
)


def cache_folder(kind: str) -> pathlib.Path:
  """Return a folder of what can be made again, under XDG_CACHE_HOME if set."""
  home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  return pathlib.Path(home).expanduser() / "bertjax" / kind


@dataclasses.dataclass(frozen=True)
class File:
  """A file that this process or another one can read.

  Attributes:
    name: path or URL, for messages.
    size: bytes as stored, 0 if the file system does not say.
    path: path on its file system.
    filesystem: an fsspec file system; None for this machine's own.
    version: changes with every change of the content; "" where the file system
      does not say.
  """

  name: str
  size: int
  path: str
  filesystem: Any = None
  version: str = ""

  @classmethod
  def at(cls, path: str) -> "File":
    """Describe a file of this machine.

    Raises:
      OSError: it is not there.
    """
    stat = pathlib.Path(path).stat()
    version = f"{stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}"
    return cls(path, stat.st_size, path, version=version)

  @classmethod
  def remote(
    cls, filesystem: Any, path: str, info: Mapping[str, Any]
  ) -> "File":
    """Describe a file of an fsspec file system by what that says of it."""
    versions = [f"{name} {info[name]}" for name in _VERSIONS if info.get(name)]
    return cls(
      filesystem.unstrip_protocol(path),
      info.get("size") or 0,
      path,
      filesystem,
      " ".join(versions),
    )

  def last_change(self) -> float | None:
    """Return when a local file changed last, in seconds, None if it is gone."""
    try:
      return pathlib.Path(self.path).stat().st_ctime
    except OSError:
      return None

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

  def stamp(self) -> tuple[int, str]:
    """Return size and version now; of a file in a bucket as it was found.

    Raises:
      ValueError: the file is gone.
    """
    if self.filesystem is not None:
      return self.size, self.version  # each file would be another request
    with reraise_readably(self.name, remote=False):
      now = File.at(self.path)
    return now.size, now.version

  def digest(self) -> bytes:
    """Return the SHA-256 of the file as it is stored."""
    with self.opened() as raw:
      return hashlib.file_digest(raw, "sha256").digest()


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
