# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The two passes over a corpus: encode it into buckets, write them in order."""

import contextlib
import dataclasses
import heapq
import itertools
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from data_pipelines.corpora import documents
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.prepare.deduplication import Repeats, find_repeats
from data_pipelines.prepare.encoding import (
  Encoded,
  Encoder,
  Hashed,
  encode_documents,
)
from data_pipelines.prepare.splits import split_limit
from data_pipelines.prepare.spool import BUCKETS, Spool
from data_pipelines.prepare.workspace import Workspace
from data_pipelines.store.layout import token_dtype
from data_pipelines.store.manifest import (
  Manifest,
  SplitEntry,
  TokenizerEntry,
  write_manifest,
)
from data_pipelines.store.store_writer import SplitWriter
from data_pipelines.tokenizers.tokenizer import Tokenizer

# Stage, share of it that is done (None: cannot be told), tokens so far.
Progress = Callable[[str, float | None, int], None]

# Encodes a part of the corpus into buckets; returns a `PartState`'s counts, and
# what removes all traces once these are saved.
Elsewhere = Callable[
  [Corpus, Encoder, Sequence[pathlib.Path]],
  tuple[dict[str, Any], Callable[[], None]],
]

CORPUS, VALIDATION = "corpus", "validation"
TOKENIZER = "tokenizer"  # folder, of the workspace and of the store
# Encoded again at most, after a kill: ten seconds or so.
_SAVE_BYTES = 1 << 24


@dataclasses.dataclass
class PartState:
  """How far a part of the corpus has come, as the journal holds it.

  Attributes:
    sizes: certain bytes of each bucket; what a file holds beyond is not.
    documents: how many of the part are in them, or were left out.
    tokens, paragraphs: in the buckets; paragraphs if they are asked for.
    unwritten: documents with text but no piece, as control characters alone.
    tally: of `reading.ReadCounts`, once `done`.
    done: whether the part is encoded to its end.
  """

  sizes: list[int] = dataclasses.field(default_factory=lambda: [0] * BUCKETS)
  documents: int = 0
  tokens: int = 0
  paragraphs: int = 0
  unwritten: int = 0
  tally: dict[str, int] = dataclasses.field(default_factory=dict)
  done: bool = False

  def count(self, document: Encoded) -> None:
    """Take a document in."""
    self.documents += 1
    self.tokens += len(document.ids)
    self.paragraphs += len(document.paragraphs)
    self.unwritten += not len(document.ids)


@dataclasses.dataclass
class _Left:
  """What writing has left out, or seen twice."""

  shared_documents: int = 0
  duplicate_documents: int = 0
  duplicate_paragraphs: int = 0
  duplicate_tokens: int = 0


class Shuffle:
  """A corpus on its way through the buckets of a workspace."""

  def __init__(
    self,
    parts: Mapping[str, Corpus],
    encoder: Encoder,
    work: Workspace,
    progress: Progress,
  ) -> None:
    """Shuffle `parts` ("corpus", maybe "validation") inside `work`."""
    self._parts = parts
    self._encoder = encoder
    self._work = work
    self._progress = progress
    self.tokens_encoded = 0  # in this run
    self._left = _Left()
    self._vocab_size = encoder.tokenizer.vocab_size
    dtype = token_dtype(self._vocab_size)
    self._spools = {
      name: Spool(work.path / "spool", name, dtype) for name in parts
    }
    self._states = {
      name: PartState(**work.parts.get(name, {})) for name in parts
    }

  def encode(self, workers: int, elsewhere: Elsewhere | None = None) -> None:
    """Encode what is not yet in the buckets.

    Args:
      workers: see `encode_documents`.
      elsewhere: what encodes a whole part instead.

    Raises:
      ValueError: text that cannot be read, or a part without any.
    """
    for name, corpus in self._parts.items():
      state, spool = self._states[name], self._spools[name]
      forget = lambda: None
      spool.restore(state.sizes)
      if not state.done and elsewhere is not None:
        self._progress(f"encode {name}", None, 0)
        # What a run without it has saved is about to be written over.
        spool.restore([0] * BUCKETS)
        self._states[name] = PartState()
        self._save(name)
        counts, forget = elsewhere(corpus, self._encoder, spool.paths)
        spool.restore([path.stat().st_size for path in spool.paths])
        self._states[name] = state = PartState(**counts)
        self.tokens_encoded += state.tokens
      elif not state.done:
        encoded = encode_documents(
          _hashed(corpus, skip=state.documents), self._encoder, workers=workers
        )
        self._encode_part(name, encoded)
        state.tally = dataclasses.asdict(corpus.counts)
      if not state.done:
        state.done = True
        self._save(name)
        forget()
      if not state.tokens:
        raise ValueError(f"{name} {corpus.spec} holds no text; give another")

  def _encode_part(self, name: str, encoded: Iterator[Encoded]) -> None:
    corpus, state, spool = (
      self._parts[name],
      self._states[name],
      self._spools[name],
    )
    for document in encoded:
      state.count(document)
      self.tokens_encoded += len(document.ids)
      if len(document.ids):
        spool.add(document)
      if spool.buffered > _SAVE_BYTES:
        self._save(name)
      self._progress(f"encode {name}", corpus.share_read, state.tokens)

  def _save(self, name: str) -> None:
    state = self._states[name]
    state.sizes = self._spools[name].flush()
    self._work.parts[name] = dataclasses.asdict(state)
    self._work.save()

  def write(self, share: float, *, deduplicate: bool) -> dict[str, SplitEntry]:
    """Write the splits in the order of the hashes; returns their entries.

    Args:
      share: of the corpus that goes to validation, if it has no part of its
        own; at least two documents do, where there are four.
      deduplicate: leave out what stands there already, in validation or
        before: documents, and paragraphs if the encoder has hashed them.

    Raises:
      ValueError: nothing would be left to train on.
    """
    limit = split_limit(self._spools[CORPUS].digests, share)
    folder = self._work.path / "store"
    shutil.rmtree(folder, ignore_errors=True)  # half of one, from a kill
    folder.mkdir()
    names = ["train"]
    if share or VALIDATION in self._parts:
      names.append(VALIDATION)
    writers = {
      name: SplitWriter(folder, name, self._vocab_size) for name in names
    }
    try:
      for part, document in self._kept(deduplicate=deduplicate):
        held_out = documents.share(document.digest) <= limit
        split = VALIDATION if part == VALIDATION or held_out else "train"
        writers[split].add_flat(document.ids, document.lengths)
      splits = {name: writer.finish() for name, writer in writers.items()}
    except BaseException as error:
      for writer in writers.values():
        with contextlib.suppress(Exception):
          writer.finish()  # closes its files
      if isinstance(error, RuntimeError):  # array_record's, of a full disk
        raise OSError(str(error).partition(";")[0]) from error
      raise
    for name, entry in splits.items():
      if not entry.tokens:
        raise ValueError(
          f"split {name} keeps no text: all of it stands elsewhere, too; give "
          "--deduplicate=none, or another corpus or validation"
        )
    return splits

  def _kept(self, *, deduplicate: bool) -> Iterator[tuple[str, Encoded]]:
    """Part and text of each document to be written, ordered by hash."""
    self._left = left = _Left()
    repeats = self._repeats() if deduplicate else {}
    last: dict[str, bytes] = {}
    total = sum(state.tokens for state in self._states.values())
    read = 0
    for part, document in self._ordered():
      read += len(document.ids)
      self._progress("write", read / total, read)
      again = last.get(part) == document.digest
      shared = last.get(VALIDATION) == document.digest and part == CORPUS
      last[part] = document.digest
      left.duplicate_documents += again
      left.shared_documents += shared
      tokens = len(document.ids)
      if deduplicate and (again or shared):
        left.duplicate_tokens += tokens
        continue
      if part in repeats:
        document, removed = repeats[part].remove(document)
        left.duplicate_paragraphs += removed
        left.duplicate_tokens += tokens - len(document.ids)
        left.duplicate_documents += not len(document.ids)
      yield part, document

  def _ordered(self) -> Iterator[tuple[str, Encoded]]:
    """Every document in the order of hashes; of equal ones validation's."""
    tagged = [
      zip(itertools.repeat(name), spool.documents())
      for name, spool in sorted(self._spools.items(), reverse=True)
    ]
    return heapq.merge(*tagged, key=lambda pair: pair[1].digest)

  def _repeats(self) -> Mapping[str, Repeats]:
    paragraphs = sum(state.paragraphs for state in self._states.values())
    if not paragraphs:
      return {}
    self._progress("find repeated paragraphs", None, 0)
    names = sorted(self._spools, reverse=True)  # validation first
    found = find_repeats(
      [self._spools[name] for name in names],
      self._work.path / "repeats",
      paragraphs,
    )
    return dict(zip(names, found, strict=True))

  def counts(self) -> dict[str, int]:
    """What was left out, and what stands in the corpus twice."""
    states = self._states.values()
    tally = lambda name: sum(state.tally.get(name, 0) for state in states)
    return {
      "skipped_records": tally("skipped"),
      "empty_documents": tally("empty") + sum(s.unwritten for s in states),
      "short_documents": tally("short"),
      "cut_documents": tally("cut"),
      **dataclasses.asdict(self._left),
    }


def write_identity(
  work: Workspace,
  tokenizer: Tokenizer,
  source: Mapping[str, Any],
  splits: Mapping[str, SplitEntry],
) -> None:
  """Put the tokenizer and the manifest beside the splits."""
  folder = work.path / "store"
  shutil.copytree(work.path / TOKENIZER, folder / TOKENIZER)
  entry = TokenizerEntry(
    name=tokenizer.name,
    sha256=tokenizer.sha256,
    vocab_size=tokenizer.vocab_size,
    special_ids={
      "pad": tokenizer.pad_id,
      "unk": tokenizer.unk_id,
      "cls": tokenizer.cls_id,
      "sep": tokenizer.sep_id,
      "mask": tokenizer.mask_id,
    },
  )
  write_manifest(folder, Manifest(source, entry, splits))


def _hashed(corpus: Corpus, *, skip: int) -> Iterator[Hashed]:
  for number, document in enumerate(corpus):
    if number >= skip:
      yield Hashed(documents.digest(document.text), document.text)
