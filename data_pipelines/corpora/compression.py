# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed files as streams; a truncated file is always noticed."""

import gzip
import io
import lzma
import pathlib
import zlib
from typing import IO, cast

import zstandard

COMPRESSIONS = (".gz", ".xz", ".zst")
# What damaged streams raise; a truncated stream raises EOFError.
DAMAGE = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError)
CHUNK = 1 << 20  # bytes


def decompressed(name: str, raw: io.BufferedReader) -> io.BufferedReader:
  """Return the decompressed content of `raw`, by the suffix of `name`."""
  match pathlib.PurePosixPath(name.lower()).suffix:
    case ".gz":
      stream = gzip.GzipFile(fileobj=cast(IO[bytes], raw))
    case ".xz":
      # The caller closes `raw`.
      stream = lzma.LZMAFile(cast(IO[bytes], raw))  # noqa: SIM115
    case ".zst":
      stream = _ZstdReader(raw)
    case _:
      return raw
  return io.BufferedReader(cast(io.RawIOBase, stream), CHUNK)


class _ZstdReader(io.RawIOBase):
  """Frames of a .zst file; zstandard's reader accepts truncated files."""

  def __init__(self, raw: io.BufferedReader) -> None:
    self._raw = raw
    self._frame: zstandard.ZstdDecompressionObj | None = None
    self._input = b""
    self._output = b""

  def readable(self) -> bool:
    """Return True, as `io.RawIOBase` asks for."""
    return True

  def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore
    """Fill the start of `buffer`; returns the bytes filled, 0 at the end."""
    while not self._output:
      if not self._input:
        self._input = self._raw.read(CHUNK)
        if not self._input:
          if self._frame is not None:
            raise EOFError
          return 0
      if self._frame is None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
      self._output = self._frame.decompress(self._input)
      self._input = self._frame.unused_data
      if self._frame.eof:
        self._frame = None
    count = min(len(buffer), len(self._output))
    buffer[:count] = self._output[:count]
    self._output = self._output[count:]
    return count
