# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The first pass over a corpus: encode its documents into buckets on disk."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from data_pipelines.corpora import documents
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.reading import ReadCounts
from data_pipelines.prepare.encoding import (
  Encoded,
  Encoder,
  Hashed,
  encode_documents,
)
from data_pipelines.prepare.spool import BUCKETS, Spool
from data_pipelines.store.layout import token_dtype

# Called with the name of a stage, the share of the stage that is done (None if
# unknown), and the tokens so far.
Progress = Callable[[str, float | None, int], None]

# Encodes a whole part of the corpus into bucket files. Returns the fields of a
# `PartState`, and a function that deletes the traces of the work once these
# are saved.
ExternalEncoder = Callable[
  [Corpus, Encoder, Sequence[pathlib.Path]],
  tuple[dict[str, Any], Callable[[], None]],
]

# Bytes between two saves: after a kill about ten seconds of work are repeated.
_SAVE_BYTES = 1 << 24


@dataclasses.dataclass
class PartState:
  """How far a part of the corpus is encoded, as the journal holds it.

  Attributes:
    sizes: bytes of each bucket that are on disk for certain; bytes beyond them
      are from an interrupted write.
    documents: documents read so far.
    tokens: tokens in the buckets.
    paragraphs: hashed paragraphs in the buckets.
    unwritten: documents whose text has no token, such as control characters.
    tally: the fields of `ReadCounts`, once `done`.
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
    """Add a document to the counts."""
    self.documents += 1
    self.tokens += len(document.ids)
    self.paragraphs += len(document.paragraphs)
    self.unwritten += not len(document.ids)


class Held(NamedTuple):
  """The documents of a small corpus, and what was counted while reading it."""

  documents: Sequence[Hashed]
  counts: ReadCounts


class EncodePass:
  """Encodes the parts of a corpus; a killed run continues where it saved.

  Attributes:
    spools: the buckets of each part.
    states: how far each part is encoded.
    tokens_encoded: tokens that this run has encoded.
    held: parts that were read already and are in memory.
  """

  def __init__(
    self,
    parts: Mapping[str, Corpus],
    encoder: Encoder,
    folder: pathlib.Path,
    journal: dict[str, Any],
    save: Callable[[], None],
    progress: Progress,
  ) -> None:
    """Prepare to encode `parts`.

    Args:
      parts: corpora by name.
      encoder: encodes a document.
      folder: where the buckets are.
      journal: the states that an earlier run saved, by part; kept up to date.
      save: writes the journal to disk.
      progress: called after each document.
    """
    self._parts = parts
    self._encoder = encoder
    self._journal = journal
    self._write_journal = save
    self._progress = progress
    self.tokens_encoded = 0
    self.held: dict[str, Held] = {}
    dtype = token_dtype(encoder.tokenizer.vocab_size)
    self.spools = {name: Spool(folder, name, dtype) for name in parts}
    self.states = {name: PartState(**journal.get(name, {})) for name in parts}

  def run(self, workers: int, external: ExternalEncoder | None = None) -> None:
    """Encode every document that is not in the buckets yet.

    Args:
      workers: processes that encode; see `encode_documents`.
      external: encodes whole parts in place of this process.

    Raises:
      ValueError: text cannot be read, or a part has no text.
    """
    for name, corpus in self._parts.items():
      self.spools[name].restore(self.states[name].sizes)
      forget = lambda: None
      if not self.states[name].done:
        if external is not None:
          forget = self._encode_externally(name, external)
        else:
          self._encode(name, workers)
        self.states[name].done = True
        self._save(name)
        forget()
      if not self.states[name].tokens:
        raise ValueError(f"{name} {corpus.spec} has no text; give another")

  def _encode(self, name: str, workers: int) -> None:
    corpus, state = self._parts[name], self.states[name]
    spool, held = self.spools[name], self.held.pop(name, None)
    texts = (
      _hashed(corpus, skip=state.documents)
      if held is None
      else held.documents[state.documents :]
    )
    encoded = encode_documents(texts, self._encoder, workers=workers)
    stage, before = f"encode {name}", state.tokens
    for document in encoded:
      state.count(document)
      if len(document.ids):
        spool.add(document)
      if spool.buffered > _SAVE_BYTES:
        self._save(name)
      share = (
        corpus.share_read
        if held is None
        else state.documents / len(held.documents)
      )
      self._progress(stage, share, state.tokens)
    self.tokens_encoded += state.tokens - before
    counts = corpus.counts if held is None else held.counts
    state.tally = dataclasses.asdict(counts)

  def _encode_externally(
    self, name: str, external: ExternalEncoder
  ) -> Callable[[], None]:
    self._progress(f"encode {name}", None, 0)
    spool = self.spools[name]
    # The encoder overwrites what an earlier run has saved of the part.
    spool.restore([0] * BUCKETS)
    self.states[name] = PartState()
    self._save(name)
    counts, forget = external(self._parts[name], self._encoder, spool.paths)
    spool.restore([path.stat().st_size for path in spool.paths])
    self.states[name] = PartState(**counts)
    self.tokens_encoded += self.states[name].tokens
    return forget

  def _save(self, name: str) -> None:
    state = self.states[name]
    state.sizes = self.spools[name].flush()
    self._journal[name] = dataclasses.asdict(state)
    self._write_journal()


def _hashed(corpus: Corpus, *, skip: int) -> Iterator[Hashed]:
  for number, document in enumerate(corpus):
    if number >= skip:
      yield Hashed(documents.digest(document.text), document.text)
