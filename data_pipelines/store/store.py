# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read a prepared corpus: `open_store(folder).split("train")`.

`layout` documents the files, `store_writer` writes them. The index is
memory-mapped and never read whole.
"""

import bisect
import collections
import itertools
import os
import pathlib
import resource
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import array_record.python.array_record_module as array_record_module
import numpy as np

from bertjax.files import first_line, sha256_of
from data_pipelines.store.layout import (
  LENGTH,
  MANIFEST,
  MARKED,
  TOKENIZER,
  token_dtype,
)
from data_pipelines.store.manifest import (
  FileEntry,
  Manifest,
  SplitEntry,
  check_digests,
  check_sizes,
  find_size_fault,
  read_manifest,
)
from data_pipelines.store.ranges import flatten_ranges
from data_pipelines.store.remote_store import fetch, is_remote
from data_pipelines.tokenizers.template import Template

# Without readahead a random record costs half (18 against 36 µs measured).
_READ = "readahead_buffer_size:0,max_parallelism:1"


def _max_open_shards() -> int:
  """Return how many shards a split keeps open, each with a descriptor."""
  soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
  return 4096 if soft == resource.RLIM_INFINITY else max(16, soft // 8)


class Split:
  """One split of a store: its index, and its tokens on demand.

  Attributes:
    name: name of the split, as "train".
    sentences: uint16 [sentences], memory-mapped; `& LENGTH` is the length in
      tokens, `& CONTINUES` marks the rest of a sentence that was too long.
    documents: int64 [documents + 1], first sentence of each document.
    marks: int64 [⌈sentences / 32⌉], first token of every 32nd sentence; see
      `addresses`.
    records: int64 [2, records + 1], first sentence and token of each record.
    blocks: int64 [blocks + 1, 4], first document, record, sentence and token
      of each block.
    num_documents, num_sentences, num_records, num_blocks, num_tokens,
      num_shards: counts.
    dtype: type of the stored token ids.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    name: str,
    entry: SplitEntry,
    vocab_size: int,
    store_sha256: str,
  ) -> None:
    self.name = name
    self._folder = folder
    self._entry = entry
    self._arguments = (folder, name, entry, vocab_size, store_sha256)
    # Plain views of the maps: indexing numpy's own memmap class is slower.
    self.sentences, self.marks, self.documents, self.records, self.blocks = (
      np.asarray(np.load(self._checked(entry.index[part]), mmap_mode="r"))
      for part in ("sentences", "marks", "documents", "records", "blocks")
    )
    self.num_documents = len(self.documents) - 1
    self.num_sentences = len(self.sentences)
    self.num_records = self.records.shape[1] - 1
    self.num_blocks = len(self.blocks) - 1
    self.num_tokens = int(self.blocks[-1, 3])
    self.dtype = token_dtype(vocab_size)
    shards = self._entry.shards
    self.num_shards = len(shards)
    counts = (shard.records for shard in shards)
    self._starts = list(itertools.accumulate(counts, initial=0))
    # The shards that were read last; the first read of a shard opens it.
    self._readers: collections.OrderedDict[int, Any] = collections.OrderedDict()
    self._max_open = _max_open_shards()
    self._lock = threading.Lock()

  def __reduce__(self) -> tuple[object, ...]:
    # A worker process opens the files anew.
    return _reopen, self._arguments

  def _checked(self, entry: FileEntry) -> pathlib.Path:
    """Return the path of a file that still has its size."""
    path = self._folder / entry.name
    if fault := find_size_fault(self._folder, entry):
      raise ValueError(_changed(path, fault))
    return path

  def read_records(self, records: Iterable[int]) -> list[np.ndarray]:
    """Return the token ids of each record, in the order of `records`.

    Raises:
      ValueError: a shard is damaged, or is not the one that the store had when
        it was opened.
    """
    return [self._read(int(record)) for record in records]

  def _read(self, record: int) -> np.ndarray:
    shard = bisect.bisect(self._starts, record) - 1
    try:
      with self._lock:
        data = self._reader(shard).read([record - self._starts[shard]])
    except (RuntimeError, IndexError) as error:
      raise ValueError(
        f"{self._path(shard)} is damaged ({first_line(error)}); prepare the "
        "store again"
      ) from error
    start, stop = self.records[1, record : record + 2].tolist()
    found, wanted = len(data[0]), (stop - start) * self.dtype.itemsize
    if found != wanted:
      number = record - self._starts[shard]
      raise ValueError(
        _changed(
          self._path(shard),
          f"not what the index describes: record {number} has {found} bytes "
          f"instead of {wanted}",
        )
      )
    return np.frombuffer(data[0], self.dtype)

  def _path(self, shard: int) -> pathlib.Path:
    return self._folder / self._entry.shards[shard].name

  def _reader(self, shard: int) -> Any:
    reader = self._readers.get(shard)
    if reader is None:
      path = self._checked(self._entry.shards[shard])
      reader = array_record_module.ArrayRecordReader(str(path), _READ)
      self._readers[shard] = reader
      if len(self._readers) > self._max_open:
        self._readers.popitem(last=False)
    else:
      self._readers.move_to_end(shard)
    return reader

  def addresses(self, sentences: np.ndarray) -> np.ndarray:
    """Return the first token of each sentence, counted in the split: int64."""
    mark, counts = np.divmod(sentences, MARKED)
    between = self.sentences[flatten_ranges(sentences - counts, counts)]
    ends = np.concatenate(([0], np.cumsum(between & LENGTH, dtype=np.int64)))
    last = np.cumsum(counts)
    return self.marks[mark] + ends[last] - ends[last - counts]

  def token_counts(self) -> np.ndarray:
    """Return how often each token id occurs in this split: int64 [V]."""
    return np.load(self._folder / self._entry.index["piece_counts"].name)


def _reopen(
  folder: pathlib.Path,
  name: str,
  entry: SplitEntry,
  vocab_size: int,
  store_sha256: str,
) -> Split:
  """Open a split in another process, from the same store."""
  path = folder / MANIFEST
  found = sha256_of(path) if path.is_file() else ""
  if found != store_sha256:
    state = f"of store {found[:12]}" if found else "missing"
    raise ValueError(_changed(path, f"{state}, not of {store_sha256[:12]}"))
  return Split(folder, name, entry, vocab_size, store_sha256)


def _changed(path: pathlib.Path, fault: str) -> str:
  return (
    f"{path} is {fault}: the store was replaced or damaged while it was in "
    "use; put back the store that the run began with, or prepare it again"
  )


class Store:
  """A prepared corpus.

  Attributes:
    path: folder of the store.
    manifest: what the store holds.
    sha256: hash of the manifest's bytes, which hold the checksum of every
      file: the identity of the store.
    splits: the splits by name.
  """

  def __init__(
    self, path: pathlib.Path, manifest: Manifest, sha256: str
  ) -> None:
    self.path = path
    self.manifest = manifest
    self.sha256 = sha256
    self.splits = {
      name: Split(path, name, entry, self.vocab_size, sha256)
      for name, entry in manifest.splits.items()
    }

  def check_tokenizer(self, sha256: str) -> None:
    """Check that the store was made with the tokenizer of hash `sha256`.

    Raises:
      ValueError: it was made with another tokenizer.
    """
    known = self.manifest.tokenizer.sha256
    if sha256 != known:
      raise ValueError(
        f"{self.path} was made with tokenizer {known[:12]}, not with "
        f"{sha256[:12]}; prepare it again with --tokenizer=DIR"
      )

  @property
  def tokenizer_path(self) -> pathlib.Path:
    """Folder of the tokenizer's files."""
    return self.path / TOKENIZER

  @property
  def vocab_size(self) -> int:
    """Number of token ids."""
    return self.manifest.tokenizer.vocab_size

  @property
  def special_ids(self) -> Mapping[str, int]:
    """Ids of the special tokens: pad, unk, cls, sep, mask."""
    return self.manifest.tokenizer.special_ids

  @property
  def template(self) -> Template:
    """The special tokens around the texts of an example."""
    return self.manifest.tokenizer.read_template()

  def split(self, name: str) -> Split:
    """Return the split called `name`.

    Raises:
      ValueError: the store has no such split, or it is empty.
    """
    if name not in self.splits:
      raise ValueError(
        f"{self.path} has no split {name!r}; it has {sorted(self.splits)}"
      )
    if not self.splits[name].num_tokens:
      raise ValueError(
        f"split {name!r} of {self.path} is empty; prepare more documents"
      )
    return self.splits[name]

  def token_counts(self) -> np.ndarray:
    """Return how often each token id occurs in training: int64 [V]."""
    return self.split("train").token_counts()

  def verify(self) -> None:
    """Read every file and compare its sha256, which is slow for a large store.

    Raises:
      ValueError: a file differs from its entry in the manifest.
    """
    check_digests(self.path, self.manifest)


def open_store(path: str | os.PathLike[str]) -> Store:
  """Open a prepared corpus, and check the size of every file.

  Args:
    path: the folder that `launch.prepare` wrote, or its URL in a bucket, which
      is copied to this machine once.

  Raises:
    ValueError: `path` is not a store, has an unknown format, or a file is
      missing or truncated.
  """
  if is_remote(path):
    folder = fetch(os.fspath(path))
  else:
    folder = pathlib.Path(path).expanduser()
  manifest, sha256 = read_manifest(folder)
  check_sizes(folder, manifest)
  return Store(folder, manifest, sha256)
