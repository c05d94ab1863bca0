# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded documents on disk, shuffled by sorting them by their hashes.

Documents go to one of 64 files by the first bits of their hash. A file that is
too large for memory is cut into 64 files by the next bits, so that shuffling
takes the same memory for any corpus. The journal of the workspace records how
many bytes of each file are safely on disk; after a kill the rest is cut off.
"""

import os
import pathlib
import shutil
import struct
from collections.abc import Generator, Iterator

import numpy as np

from data_pipelines.prepare.encoding import NO_PARAGRAPHS, Encoded

BUCKETS = 64
_BITS = 6  # bits of a hash that choose a bucket
# Largest file that is sorted in memory, where short documents take four times
# their size on disk.
_MAX_BYTES = 1 << 25
# Equal documents have equal hashes, which no number of cuts separates.
_MAX_DEPTH = 8
_LENGTHS, _HASHES = np.dtype("<u4"), np.dtype("<u8")
_HEADER = struct.Struct("<16sIII")  # digest, sentences, tokens, paragraphs


def bucket(digest: bytes, depth: int = 0) -> int:
  """Return the number of a document's file, after `depth` cuts of its file."""
  word = int.from_bytes(digest[:8], "big")
  return word >> (64 - _BITS * (depth + 1)) & (BUCKETS - 1)


def pack(document: Encoded, dtype: np.dtype) -> bytes:
  """Return the bytes of a document in a bucket, its ids as `dtype`."""
  return b"".join(
    (
      _HEADER.pack(
        document.digest,
        len(document.lengths),
        len(document.ids),
        len(document.paragraphs),
      ),
      document.lengths.astype(_LENGTHS, copy=False).tobytes(),
      document.paragraphs.astype(_HASHES, copy=False).tobytes(),
      document.ids.astype(dtype, copy=False).tobytes(),
    )
  )


class Spool:
  """The documents of one part of the corpus, in buckets by hash."""

  def __init__(self, folder: pathlib.Path, part: str, dtype: np.dtype) -> None:
    """Spool ids of type `dtype` into files of `folder` that start with `part`.

    Nothing is written or read yet.
    """
    folder.mkdir(exist_ok=True)
    self.paths = [folder / f"{part}-{k:02d}.bin" for k in range(BUCKETS)]
    self._dtype = dtype
    self._sizes = [0] * BUCKETS
    self._buffers = [bytearray() for _ in range(BUCKETS)]
    self.buffered = 0  # bytes

  def add(self, document: Encoded) -> None:
    """Buffer a document until the next `flush`."""
    record = pack(document, self._dtype)
    self._buffers[bucket(document.digest)] += record
    self.buffered += len(record)

  def flush(self) -> list[int]:
    """Write the buffers; return the size of every bucket, in bytes."""
    for k, buffer in enumerate(self._buffers):
      if buffer:
        with self.paths[k].open("ab") as file:
          file.write(buffer)
          file.flush()
          os.fsync(file.fileno())  # before the journal has its size
        self._sizes[k] += len(buffer)
        buffer.clear()
    self.buffered = 0
    return list(self._sizes)

  def restore(self, sizes: list[int]) -> None:
    """Cut the buckets back to these sizes.

    Raises:
      ValueError: a file is smaller.
    """
    for path, size in zip(self.paths, sizes, strict=True):
      found = path.stat().st_size if path.exists() else 0
      if found < size:
        raise ValueError(
          f"{path} lost {size - found} bytes; give --restart to begin again"
        )
      if found > size:
        os.truncate(path, size)
    self._sizes = list(sizes)

  def digests(self) -> Iterator[bytes]:
    """Yield the hash of every document, in no useful order."""
    for path in self.paths:
      for digest, _ in self._records(path):
        yield digest

  def unordered(self) -> Iterator[Encoded]:
    """Yield every document in no useful order, one in memory at a time."""
    for path in self.paths:
      for _, record in self._records(path):
        yield self._parse(record)

  def documents(self) -> Generator[Encoded, None, None]:
    """Yield every document in order of its hash: this is the shuffle."""
    for path in self.paths:
      yield from self._sorted(path, depth=1)

  def _sorted(self, path: pathlib.Path, depth: int) -> Iterator[Encoded]:
    if not path.exists():
      return
    large = path.stat().st_size > _MAX_BYTES
    if large and depth == _MAX_DEPTH:
      # 48 bits alike: copies of one document, in any order.
      yield from (self._parse(record) for _, record in self._records(path))
      return
    if large:
      parts = self._split(path, depth)
      for part in parts:
        yield from self._sorted(part, depth + 1)
      shutil.rmtree(parts[0].parent)
      return
    for _, record in sorted(self._records(path), key=_first):
      yield self._parse(record)

  def _split(self, path: pathlib.Path, depth: int) -> list[pathlib.Path]:
    """Cut a bucket into files by the next bits of the hashes."""
    folder = path.with_suffix(".parts")
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed run
    folder.mkdir()
    paths = [folder / f"{k:02d}.bin" for k in range(BUCKETS)]
    files = [part.open("wb") for part in paths]
    try:
      for digest, record in self._records(path):
        files[bucket(digest, depth)].write(record)
    finally:
      for file in files:
        file.close()
    return paths

  def _records(self, path: pathlib.Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the hash and the bytes of each document of a file."""
    if not path.exists():
      return
    with path.open("rb") as file:
      while header := file.read(_HEADER.size):
        digest, sentences, tokens, paragraphs = _HEADER.unpack(header)
        size = 4 * sentences + 16 * paragraphs + self._dtype.itemsize * tokens
        body = file.read(size)
        assert len(body) == size, "restore() left half a record"
        yield digest, header + body

  def _parse(self, record: bytes) -> Encoded:
    digest, sentences, tokens, paragraphs = _HEADER.unpack_from(record)
    at = _HEADER.size
    lengths = np.frombuffer(record, _LENGTHS, sentences, at)
    at += 4 * sentences
    hashes = NO_PARAGRAPHS
    if paragraphs:
      hashes = np.frombuffer(record, _HASHES, 2 * paragraphs, at).reshape(-1, 2)
    ids = np.frombuffer(record, self._dtype, tokens, at + 16 * paragraphs)
    return Encoded(digest, ids, lengths, hashes)


def _first(record: tuple[bytes, bytes]) -> bytes:
  return record[0]
