# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed files as streams; a truncated file is always noticed."""

import bz2
import gzip
import io
import lzma
import pathlib
import zlib
from collections.abc import Callable
from typing import IO, Any, cast

import zstandard

COMPRESSIONS = (".gz", ".xz", ".zst", ".bz2")
CHUNK = 1 << 20  # bytes
ZSTD_LONG = 27  # 128 MiB, what the zstd program reads without --long
_MEMBER_INPUT = 1 << 13  # of .xz and .bz2 at a time, as in their own modules
# Input of zstd at a time. A block of 4 bytes may hold 128 KiB of output.
_ZSTD_INPUT = 1 << 10
_ZSTD_HEADER = 18  # bytes, the longest header of a frame


class DamagedBz2Error(Exception):
  """A .bz2 file is damaged, which the bz2 module reports as an `OSError`."""


# What damaged streams raise; a truncated stream raises EOFError.
DAMAGE = (
  gzip.BadGzipFile,
  zlib.error,
  lzma.LZMAError,
  zstandard.ZstdError,
  DamagedBz2Error,
)


def decompressed(
  name: str, raw: io.BufferedReader, zstd_long: int = ZSTD_LONG
) -> io.BufferedReader:
  """Return the decompressed content of `raw`, by the suffix of `name`.

  Args:
    name: path or URL of the file.
    raw: the file as it is stored; the caller closes it.
    zstd_long: binary logarithm of the largest window of a .zst file that is
      read, in bytes; the window is held in memory.
  """
  match suffix_of(name):
    case ".gz":
      stream = gzip.GzipFile(fileobj=cast(IO[bytes], raw))
    case ".xz":
      stream = _MemberReader(raw, lzma.LZMADecompressor)
    case ".zst":
      stream = _ZstdReader(name, raw, zstd_long)
    case ".bz2":
      stream = _MemberReader(raw, _Bz2Decompressor)
    case _:
      return raw
  return io.BufferedReader(cast(io.RawIOBase, stream), CHUNK)


def suffix_of(name: str) -> str:
  """Return the last suffix of a file's name in lower case."""
  return pathlib.PurePosixPath(name.lower()).suffix


class _Bz2Decompressor:
  """A `bz2.BZ2Decompressor` whose error has a type of its own."""

  def __init__(self) -> None:
    self._inner = bz2.BZ2Decompressor()

  def decompress(self, data: bytes, max_length: int) -> bytes:
    try:
      return self._inner.decompress(data, max_length)
    except OSError as error:
      raise DamagedBz2Error(str(error)) from None

  def __getattr__(self, name: str) -> Any:
    return getattr(self._inner, name)


class _MemberReader(io.RawIOBase):
  """The members of a file; the standard readers ignore garbage behind one."""

  def __init__(self, raw: io.BufferedReader, make: Callable[[], Any]) -> None:
    self._raw = raw
    self._make = make
    self._member: Any = None

  def readable(self) -> bool:
    """Return True, as `io.RawIOBase` asks for."""
    return True

  def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore
    """Fill the start of `buffer`; returns the bytes filled, 0 at the end."""
    while True:
      data = b""
      if self._member is None or self._member.eof:
        data = self._next_member()
        if not data:
          return 0
      elif self._member.needs_input:
        data = self._raw.read(_MEMBER_INPUT)
        if not data:
          raise EOFError
      member: Any = self._member
      output = member.decompress(data, len(buffer))
      if output:
        buffer[: len(output)] = output
        return len(output)

  def _next_member(self) -> bytes:
    """Begin a member and return its first input; b"" at the end."""
    behind = self._member is not None
    data = self._member.unused_data if behind else b""
    while True:
      if behind:
        data = data.lstrip(b"\0")  # .xz may be padded
      if data:
        break
      data = self._raw.read(_MEMBER_INPUT)
      if not data:
        return b""
    self._member = self._make()
    return data


class _ZstdReader(io.RawIOBase):
  """Frames of a .zst file; zstandard's reader accepts truncated files."""

  def __init__(self, name: str, raw: io.BufferedReader, long: int) -> None:
    self._name = name
    self._raw = raw
    self._window = 1 << long
    self._frame: zstandard.ZstdDecompressionObj | None = None
    self._header = b""
    self._input, self._taken = b"", 0
    self._output = memoryview(b"")

  def readable(self) -> bool:
    """Return True, as `io.RawIOBase` asks for."""
    return True

  def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore
    """Fill the start of `buffer`; returns the bytes filled, 0 at the end."""
    while not self._output:
      if self._taken == len(self._input):
        self._input, self._taken = self._raw.read(CHUNK), 0
        if not self._input:
          if self._frame is not None:
            raise EOFError
          return 0
      self._output = memoryview(self._decompress())
    count = min(len(buffer), len(self._output))
    buffer[:count] = self._output[:count]
    self._output = self._output[count:]
    return count

  def _decompress(self) -> bytes:
    """Take a little input, at most to the end of a frame; return its output."""
    data = self._input[self._taken : self._taken + _ZSTD_INPUT]
    self._taken += len(data)
    if self._frame is None:
      self._header = b""
      self._frame = zstandard.ZstdDecompressor(
        max_window_size=self._window
      ).decompressobj()
    if missing := _ZSTD_HEADER - len(self._header):
      self._header += data[:missing]
    try:
      output = self._frame.decompress(data)
    except zstandard.ZstdError:
      self._check_window()
      raise
    if self._frame.eof:
      self._taken -= len(self._frame.unused_data)
      self._frame = None
    return output

  def _check_window(self) -> None:
    size = zstandard.get_frame_parameters(self._header).window_size
    if size > self._window:
      long = (size - 1).bit_length()
      raise ValueError(
        f"{self._name} is compressed with a window of {size >> 20:,} MiB; give "
        f"--zstd_long={long}, which takes so much memory"
      ) from None
