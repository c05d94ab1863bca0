# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write the splits of a prepared store: shards and index.

`layout` documents the files.
"""

import array
import io
import os
import pathlib
from typing import Any, BinaryIO

import array_record.python.array_record_module as array_record_module
import numpy as np

from data_pipelines.store.layout import (
  CONTINUES,
  INDEX,
  LENGTH,
  MARKED,
  MAX_RECORD,
  MAX_SENTENCE,
  token_dtype,
)
from data_pipelines.store.manifest import FileEntry, ShardEntry, SplitEntry


class _Unbuffered(io.RawIOBase):
  """A file in which numpy does not write by itself.

  It says how many numbers are missing, and not that the disk is full.
  """

  def __init__(self, stream: BinaryIO) -> None:
    self.write = stream.write


def save(path: pathlib.Path, values: np.ndarray) -> None:
  """Write a `.npy` file; an error has the number of the system."""
  with path.open("wb") as stream:
    np.save(_Unbuffered(stream), values)


class _GrowingArray:
  """A one-dimensional `.npy` file to append to; keeps no data in memory."""

  def __init__(self, path: pathlib.Path, dtype: Any) -> None:
    self._dtype = np.dtype(dtype)
    self._file = path.open("wb")
    self.size = 0
    self._write_header()

  def _write_header(self) -> None:
    # numpy pads this header so that a larger shape fits in the same bytes.
    np.lib.format.write_array_header_1_0(
      self._file,
      {
        "descr": np.lib.format.dtype_to_descr(self._dtype),
        "fortran_order": False,
        "shape": (self.size,),
      },
    )

  def append(self, values: np.ndarray) -> None:
    self._file.write(values.astype(self._dtype).tobytes())
    self.size += len(values)

  def close(self) -> None:
    self._file.seek(0)
    self._write_header()
    self._file.close()


class SplitWriter:
  """Writes one split of a store.

  Memory holds one block, and 16 bytes a record: 0.2 GB for 100 billion tokens.
  Equal documents in equal order give equal bytes.

  Args:
    folder: an existing folder, where the store is being made.
    split: name of the split, as "train".
    vocab_size: number of token ids; an id beyond them is refused.
    block_tokens: usual size of a block. The last block may be larger by half,
      and a longer document is a block of its own.
    record_tokens: size of a record, at most `MAX_RECORD`.
    shard_tokens: a shard ends with the first block that fills it.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    split: str,
    vocab_size: int,
    block_tokens: int = 1_000_000,
    record_tokens: int = MAX_RECORD,
    shard_tokens: int = 100_000_000,
  ) -> None:
    self._folder = pathlib.Path(folder)
    self._split = split
    self._dtype = token_dtype(vocab_size)
    self._block_tokens = block_tokens
    self._record_tokens = record_tokens
    self._shard_tokens = shard_tokens
    self._counts = np.zeros(vocab_size, np.int64)
    self._sentences = self._index("sentences", np.uint16)
    self._documents = self._index("documents", np.int64)
    self._marks = self._index("marks", np.int64)
    self._records = array.array("q")  # first sentence and token of each
    self._blocks = [(0, 0, 0, 0)]
    self._tokens = 0
    self._split_sentences = 0
    self._shards: list[int] = []  # records of each closed shard
    self._shard: Any = None
    self._shard_start = (0, 0)  # first record and token of the open shard
    self._pending: list[tuple[np.ndarray, np.ndarray]] = []
    self._pending_tokens = 0

  def _index(self, name: str, dtype: Any) -> _GrowingArray:
    return _GrowingArray(self._path(name), dtype)

  def _path(self, name: str) -> pathlib.Path:
    return self._folder / f"{self._split}.{name}.npy"

  def _part(self, shard: int) -> pathlib.Path:
    return self._folder / f"{self._split}-{shard:05d}.part"

  def add_flat(self, ids: np.ndarray, sentence_lengths: np.ndarray) -> None:
    """Append a document: the ids of all its sentences, and their lengths.

    Empty sentences and documents without a token are not stored.

    Raises:
      ValueError: the lengths do not add up to the number of ids; or, once for
        a whole block or in `finish`, an id is outside the vocabulary.
    """
    lengths = np.asarray(sentence_lengths)
    total = sum(lengths.tolist())  # in less time than numpy for a few
    if total != len(ids):
      raise ValueError(
        f"sentences hold {total} tokens; the document has {len(ids)}"
      )
    if not total:
      return
    # The rest is checked for a whole block: documents may be tiny.
    self._pending.append((ids, lengths))
    self._pending_tokens += len(ids)
    # Half a block is held back, so that the last block is not tiny.
    while self._pending_tokens > 1.5 * self._block_tokens:
      self._write_block(self._whole_documents())

  def _checked(self, ids: np.ndarray) -> np.ndarray:
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= len(self._counts):
      raise ValueError(
        f"token id {low if low < 0 else high} is outside the vocabulary of "
        f"{len(self._counts)}; give the tokenizer that made it"
      )
    return ids.astype(self._dtype, copy=False)

  def _whole_documents(self) -> int:
    """Count the pending documents that fit in a block, at least one."""
    tokens = np.cumsum([len(ids) for ids, _ in self._pending])
    return max(int(np.searchsorted(tokens, self._block_tokens, "right")), 1)

  def _write_block(self, count: int) -> None:
    """Write the first `count` pending documents as one block."""
    block, self._pending = self._pending[:count], self._pending[count:]
    ids = self._checked(np.concatenate([ids for ids, _ in block]))
    lengths = np.concatenate([lengths for _, lengths in block], dtype=np.int64)
    # Empty sentences have no part.
    ends = np.cumsum(-(-lengths // MAX_SENTENCE))
    last = np.cumsum(
      [len(lengths) for _, lengths in block[:-1]], dtype=np.int64
    )
    starts = np.append(0, ends[last - 1])
    codes = _split_long(lengths[lengths > 0])
    self._split_sentences += int((lengths > MAX_SENTENCE).sum())
    self._documents.append(self._sentences.size + starts)
    ends = np.cumsum(codes & LENGTH, dtype=np.int64)
    self._write_records(ids, ends)
    marked = slice(-self._sentences.size % MARKED, None, MARKED)
    self._marks.append(self._tokens + np.append(0, ends[:-1])[marked])
    self._sentences.append(codes)
    self._counts += np.bincount(ids, minlength=len(self._counts))
    self._tokens += len(ids)
    self._blocks.append(
      (
        self._documents.size,
        len(self._records) // 2,
        self._sentences.size,
        self._tokens,
      )
    )
    self._pending_tokens -= len(ids)
    if self._tokens - self._shard_start[1] >= self._shard_tokens:
      self._close_shard()

  def _write_records(self, ids: np.ndarray, ends: np.ndarray) -> None:
    """Write a block as records; `ends` are the ends of its sentences."""
    if self._shard is None:
      self._shard = array_record_module.ArrayRecordWriter(
        str(self._part(len(self._shards))), "group_size:1,uncompressed"
      )
    first, token = 0, 0
    while first < len(ends):
      limit = token + self._record_tokens
      last = max(int(np.searchsorted(ends, limit, "right")), first + 1)
      self._records.extend((self._sentences.size + first, self._tokens + token))
      self._shard.write(ids[token : ends[last - 1]].tobytes())
      first, token = last, int(ends[last - 1])

  def _close_shard(self) -> None:
    if self._shard is not None:
      self._shard.close()
      records = len(self._records) // 2
      self._shards.append(records - self._shard_start[0])
      self._shard_start = (records, self._tokens)
      self._shard = None

  def finish(self) -> SplitEntry:
    """Close every file; return the split's entry in the manifest."""
    if self._pending:
      self._write_block(len(self._pending))
    self._close_shard()
    self._documents.append(np.array([self._sentences.size]))
    self._records.extend((self._sentences.size, self._tokens))
    for growing in (self._sentences, self._marks, self._documents):
      growing.close()
    starts = np.frombuffer(self._records, np.int64).reshape(-1, 2)
    save(self._path("records"), np.ascontiguousarray(starts.T))
    save(self._path("blocks"), np.array(self._blocks, np.int64))
    save(self._path("piece_counts"), self._counts)
    shards = []
    for number, records in enumerate(self._shards):
      name = f"{self._split}-{number:05d}-of-{len(self._shards):05d}"
      path = self._folder / f"{name}.array_record"
      self._part(number).replace(path)
      shards.append(ShardEntry.of(path, records=records))
    return SplitEntry(
      documents=self._documents.size - 1,
      sentences=self._sentences.size,
      split_sentences=self._split_sentences,
      tokens=self._tokens,
      records=len(starts) - 1,
      blocks=len(self._blocks) - 1,
      shards=tuple(shards),
      index={name: FileEntry.of(self._path(name)) for name in INDEX},
    )


def _split_long(lengths: np.ndarray) -> np.ndarray:
  """Encode lengths as uint16; too long a sentence becomes near-equal parts."""
  parts = -(-lengths // MAX_SENTENCE)
  if (parts == 1).all():
    return lengths.astype(np.uint16)
  part = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
  whole, of = np.repeat(lengths, parts), np.repeat(parts, parts)
  codes = ((part + 1) * whole // of - part * whole // of).astype(np.uint16)
  return np.where(part > 0, codes | CONTINUES, codes)
