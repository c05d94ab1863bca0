# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed files as streams; one that is cut off is never taken for whole."""

import gzip
import io
import lzma
import pathlib
import zlib
from typing import IO, cast

import zstandard

COMPRESSIONS = (".gz", ".xz", ".zst")
# What a damaged stream raises; a stream that is cut off raises EOFError.
DAMAGE = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError)
CHUNK = 1 << 20  # bytes


def decompressed(name: str, raw: io.BufferedReader) -> io.BufferedReader:
  """What is in `raw`, by the suffix of its name."""
  match pathlib.PurePosixPath(name).suffix:
    case ".gz":
      stream = gzip.GzipFile(fileobj=cast(IO[bytes], raw))
    case ".xz":
      # Closed by whoever reads it.
      stream = lzma.LZMAFile(cast(IO[bytes], raw))  # noqa: SIM115
    case ".zst":
      stream = _ZstdReader(raw)
    case _:
      return raw
  return io.BufferedReader(cast(io.RawIOBase, stream), CHUNK)


class _ZstdReader(io.RawIOBase):
  """Frames of a .zst file; zstandard's own takes a cut file for a whole one."""

  def __init__(self, raw: io.BufferedReader) -> None:
    self._raw = raw
    self._frame: zstandard.ZstdDecompressionObj | None = None
    self._input = b""
    self._output = b""

  def readable(self) -> bool:
    """Whether it can be read: always."""
    return True

  def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore
    """Fill `buffer` as far as there is text; 0 at the end."""
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
