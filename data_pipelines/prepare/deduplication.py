# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find the repeated paragraphs of a corpus, on disk.

The first of equal paragraphs is kept: validation comes before training, and
documents are in order of their hashes, so that the result does not depend on
how the corpus is cut into files. Two passes over files that are cut by hash
bound the memory.
"""

import pathlib
import shutil
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipelines.prepare.encoding import Encoded
from data_pipelines.prepare.spool import Spool

_MAX_FILES = 1024
_FILE_BYTES = 1 << 24  # sorted in memory at a time, up to 16 GiB of entries
_HELD = 1 << 18  # entries
# A paragraph: its hash, its part of the corpus, the hash of its document in two
# words, and its index in the document.
_ENTRY = np.dtype(
  [
    ("hash", "<u8"),
    ("part", "u1"),
    ("high", "<u8"),
    ("low", "<u8"),
    ("index", "<u4"),
  ]
)


class _Files:
  """Entries on disk, cut into files by the first bits of one field."""

  def __init__(
    self, folder: pathlib.Path, name: str, field: str, size: int
  ) -> None:
    """Cut about `size` entries by `field`."""
    wanted = -(-size * _ENTRY.itemsize // _FILE_BYTES)
    self.bits = min(wanted, _MAX_FILES).bit_length()
    self._paths = [
      folder / f"{name}-{k:04d}.bin" for k in range(1 << self.bits)
    ]
    self._field = field
    self._held: list[np.ndarray] = []
    self._size = 0

  def add(self, entries: np.ndarray) -> None:
    if not len(entries):
      return
    self._held.append(entries)
    self._size += len(entries)
    if self._size > _HELD:
      self.flush()

  def flush(self) -> None:
    if not self._size:
      return
    entries = np.concatenate(self._held)
    # In two shifts: one by all 64 bits is undefined.
    file = entries[self._field] >> np.uint64(32) >> np.uint64(32 - self.bits)
    order = np.argsort(file, kind="stable")
    ends = np.cumsum(np.bincount(file, minlength=len(self._paths)))
    for path, part in zip(
      self._paths, np.split(entries[order], ends[:-1]), strict=True
    ):
      if len(part):
        with path.open("ab") as out:
          out.write(part.tobytes())
    self._held, self._size = [], 0

  def load(self, file: int) -> np.ndarray:
    path = self._paths[file]
    return np.fromfile(path, _ENTRY) if path.exists() else np.zeros(0, _ENTRY)

  def __iter__(self) -> Iterator[np.ndarray]:
    return map(self.load, range(len(self._paths)))


class Repeats:
  """Repeated paragraphs of one part; call `remove` in order of hashes."""

  def __init__(self, files: _Files) -> None:
    self._files = files
    self._file = -1
    self._entries = np.zeros(0, _ENTRY)

  def remove(self, document: Encoded) -> tuple[Encoded, int]:
    """Return the document without repeated paragraphs, and their number."""
    high, low = _words(document.digest)
    file = high >> (64 - self._files.bits)
    if file != self._file:
      entries = self._files.load(file)
      self._entries = entries[np.argsort(entries["high"], kind="stable")]
      self._file = file
    first, last = (
      np.searchsorted(self._entries["high"], np.uint64(high), side)
      for side in ("left", "right")
    )
    found = self._entries[first:last]
    # Each of several equal documents has added the same entries.
    found = np.unique(found["index"][found["low"] == np.uint64(low)])
    if not len(found):
      return document, 0
    return _without(document, found), len(found)


def find_repeats(
  spools: Sequence[Spool], folder: pathlib.Path, paragraphs: int
) -> list[Repeats]:
  """Find paragraphs that occur before, in their spool or an earlier one.

  Args:
    spools: documents with hashed paragraphs; the first spool keeps all that
      it does not repeat itself.
    folder: a folder for files, which is replaced.
    paragraphs: number of paragraphs of all spools.

  Returns:
    The repeated paragraphs of each spool.
  """
  shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
  folder.mkdir()
  by_hash = _Files(folder, "hash", "hash", paragraphs)
  repeats = [
    _Files(folder, f"part{part}", "high", paragraphs)
    for part in range(len(spools))
  ]

  def sift(entries: np.ndarray) -> np.ndarray:
    first, repeated = _sift(entries)
    for part, files in enumerate(repeats):
      files.add(repeated[repeated["part"] == part])
    return first

  for entries in _chunks(spools):
    # A paragraph with a million copies must not fill one file with them.
    by_hash.add(sift(entries))
  by_hash.flush()
  for entries in by_hash:
    sift(entries)
  for files in repeats:
    files.flush()
  return [Repeats(files) for files in repeats]


def _chunks(spools: Sequence[Spool]) -> Iterator[np.ndarray]:
  """Yield the entries of all documents, many at a time."""
  held: list[np.ndarray] = []
  size = 0
  for part, spool in enumerate(spools):
    for document in spool.unordered():
      entries = _entries(part, document)
      if len(entries):
        held.append(entries)
        size += len(entries)
      if size > _HELD:
        yield np.concatenate(held)
        held, size = [], 0
  if held:
    yield np.concatenate(held)


def _entries(part: int, document: Encoded) -> np.ndarray:
  hashes = document.paragraphs[:, 0]
  index = np.flatnonzero(hashes)
  entries = np.zeros(len(index), _ENTRY)
  entries["hash"], entries["index"] = hashes[index], index
  entries["part"] = part
  entries["high"], entries["low"] = _words(document.digest)
  return entries


def _sift(entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Return the first entry of each hash, and all other entries."""
  names = ("index", "low", "high", "part", "hash")
  entries = entries[np.lexsort([entries[name] for name in names])]
  # Entries that are equal in all fields are from equal documents.
  entries = entries[
    np.append(True, entries[1:] != entries[:-1])[: len(entries)]
  ]
  again = np.append(False, entries["hash"][1:] == entries["hash"][:-1])
  again = again[: len(entries)]
  return entries[~again], entries[again]


def _words(digest: bytes) -> tuple[int, int]:
  return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def _without(document: Encoded, index: np.ndarray) -> Encoded:
  kept = np.ones(len(document.paragraphs), bool)
  kept[index] = False
  sentences = np.repeat(kept, document.paragraphs[:, 1].astype(np.int64))
  tokens = np.repeat(sentences, document.lengths)
  return Encoded(
    document.digest,
    document.ids[tokens],
    document.lengths[sentences],
    document.paragraphs[kept],
  )
