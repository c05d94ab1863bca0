# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded documents on disk, on their way to a shuffled store.

Documents go to one of 64 files by the start of their hash, so that shuffling
a corpus needs memory for a sixty-fourth of it. A journal outside tells how
much of each file is certain; after a kill the rest is cut off.
"""

import os
import pathlib
import struct
from collections.abc import Iterator

import numpy as np

from data_pipelines.encoding import Encoded

BUCKETS = 64
_HEADER = struct.Struct("<16sII")  # digest, sentences, tokens


class Spool:
  """The documents of one part of the corpus, in buckets by hash."""

  def __init__(self, folder: pathlib.Path, part: str, dtype: np.dtype) -> None:
    """Spool ids of type `dtype` into files of `folder` that start with `part`.

    Nothing is written or read yet.
    """
    folder.mkdir(exist_ok=True)
    self._paths = [folder / f"{part}-{k:02d}.bin" for k in range(BUCKETS)]
    self._dtype = dtype
    self._sizes = [0] * BUCKETS
    self._buffers = [bytearray() for _ in range(BUCKETS)]
    self.buffered = 0  # bytes

  def add(self, document: Encoded) -> None:
    """Hold a document until the next `flush`."""
    record = (
      _HEADER.pack(document.digest, len(document.lengths), len(document.ids))
      + document.lengths.astype("<u4").tobytes()
      + document.ids.astype(self._dtype).tobytes()
    )
    self._buffers[_bucket(document.digest)] += record
    self.buffered += len(record)

  def flush(self) -> list[int]:
    """Write what is held; returns the size of every bucket, in bytes."""
    for k, buffer in enumerate(self._buffers):
      if buffer:
        with self._paths[k].open("ab") as file:
          file.write(buffer)
        self._sizes[k] += len(buffer)
        buffer.clear()
    self.buffered = 0
    return list(self._sizes)

  def restore(self, sizes: list[int]) -> None:
    """Go back to where the buckets had these sizes.

    Raises:
      ValueError: a file holds less than that.
    """
    for path, size in zip(self._paths, sizes, strict=True):
      found = path.stat().st_size if path.exists() else 0
      if found < size:
        raise ValueError(
          f"{path} lost {size - found} bytes; run again, from the start"
        )
      if found > size:
        os.truncate(path, size)
    self._sizes = list(sizes)

  def digests(self) -> Iterator[bytes]:
    """Hash of every document, in no useful order."""
    for path in self._paths:
      for digest, _, _ in _records(path, self._dtype):
        yield digest

  def documents(self) -> Iterator[Encoded]:
    """Every document, ordered by its hash: this is the shuffle."""
    for path in self._paths:
      data = path.read_bytes() if path.exists() else b""
      found = []
      for digest, (sentences, tokens), start in _records(path, self._dtype):
        lengths = np.frombuffer(data, "<u4", sentences, start)
        ids = np.frombuffer(data, self._dtype, tokens, start + lengths.nbytes)
        found.append(Encoded(digest, ids, lengths.astype(np.int64)))
      yield from sorted(found, key=lambda document: document.digest)


def _bucket(digest: bytes) -> int:
  return digest[0] * BUCKETS >> 8


def _records(
  path: pathlib.Path, dtype: np.dtype
) -> Iterator[tuple[bytes, tuple[int, int], int]]:
  """Hash, sentences and tokens, and where the sentences start, of each."""
  if not path.exists():
    return
  size = path.stat().st_size
  with path.open("rb") as file:
    start = 0
    while start < size:
      file.seek(start)
      digest, sentences, tokens = _HEADER.unpack(file.read(_HEADER.size))
      yield digest, (sentences, tokens), start + _HEADER.size
      start += _HEADER.size + 4 * sentences + dtype.itemsize * tokens
