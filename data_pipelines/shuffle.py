# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The two passes over a corpus: encode it into buckets, write them in order."""

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from data_pipelines import documents
from data_pipelines.corpora import Corpus
from data_pipelines.encoding import Encoded, Hashed, encode_documents
from data_pipelines.pieces import Tokenizer
from data_pipelines.spool import BUCKETS, Spool
from data_pipelines.store import SplitWriter, token_dtype, write_manifest
from data_pipelines.workspace import Workspace

# Stage, share of it that is done (None: cannot be told), tokens so far.
Progress = Callable[[str, float | None, int], None]

CORPUS, VALIDATION = "corpus", "validation"
# Encoded again at most, after a kill: ten seconds or so.
_SAVE_BYTES = 1 << 24
# A next-sentence partner comes from another document of the same split.
_LEAST_VALIDATION = 2


@dataclasses.dataclass
class PartState:
  """How far a part of the corpus has come, as the journal holds it.

  Attributes:
    sizes: certain bytes of each bucket; what a file holds beyond is not.
    documents: how many of the part are in them, or were left out.
    tokens: in the buckets.
    unwritten: documents with text but no piece, as control characters alone.
    skipped, empty: as `text_files.Tally`, once `done`.
    done: whether the part is encoded to its end.
  """

  sizes: list[int] = dataclasses.field(default_factory=lambda: [0] * BUCKETS)
  documents: int = 0
  tokens: int = 0
  unwritten: int = 0
  skipped: int = 0
  empty: int = 0
  done: bool = False


class Shuffle:
  """A corpus on its way through the buckets of a workspace."""

  def __init__(
    self,
    parts: Mapping[str, Corpus],
    tokenizer: Tokenizer,
    work: Workspace,
    progress: Progress,
  ) -> None:
    """Shuffle `parts` ("corpus", maybe "validation") inside `work`."""
    self._parts = parts
    self._tokenizer = tokenizer
    self._work = work
    self._progress = progress
    self.tokens_encoded = 0  # in this run
    self._shared = 0
    dtype = token_dtype(tokenizer.vocab_size)
    self._spools = {
      name: Spool(work.path / "spool", name, dtype) for name in parts
    }
    self._states = {
      name: PartState(**work.parts.get(name, {})) for name in parts
    }

  def encode(self, *, mode: str, workers: int) -> None:
    """Encode what is not yet in the buckets; see `encode_documents`.

    Raises:
      ValueError: text that cannot be read, or a part without any.
    """
    for name, corpus in self._parts.items():
      state, spool = self._states[name], self._spools[name]
      spool.restore(state.sizes)
      if not state.done:
        encoded = encode_documents(
          _hashed(corpus, skip=state.documents),
          self._tokenizer,
          mode=mode,
          workers=workers,
        )
        self._encode_part(name, encoded)
        state.skipped = corpus.tally.skipped
        state.empty = corpus.tally.empty
        state.done = True
        self._save(name)
      if not state.tokens:
        raise ValueError(f"{name} {corpus.spec} holds no text; give another")

  def _encode_part(self, name: str, encoded: Iterator[Encoded]) -> None:
    corpus, state, spool = (
      self._parts[name],
      self._states[name],
      self._spools[name],
    )
    for document in encoded:
      state.documents += 1
      state.tokens += len(document.ids)
      self.tokens_encoded += len(document.ids)
      if len(document.ids):
        spool.add(document)
      else:
        state.unwritten += 1
      if spool.buffered > _SAVE_BYTES:
        self._save(name)
      self._progress(f"encode {name}", corpus.share_read, state.tokens)

  def _save(self, name: str) -> None:
    state = self._states[name]
    state.sizes = self._spools[name].flush()
    self._work.parts[name] = dataclasses.asdict(state)
    self._work.save()

  def write(self, share: float) -> dict[str, dict[str, Any]]:
    """Write the splits in the order of the hashes; returns their entries.

    Args:
      share: of the corpus that goes to validation, if it has no part of its
        own; at least two documents do, where there are four.

    Raises:
      ValueError: nothing would be left to train on.
    """
    limit = self._limit(share)
    folder = self._work.path / "store"
    shutil.rmtree(folder, ignore_errors=True)  # half of one, from a kill
    folder.mkdir()
    names = ["train"]
    if share or VALIDATION in self._parts:
      names.append(VALIDATION)
    size = self._tokenizer.vocab_size
    writers = {name: SplitWriter(folder, name, size) for name in names}
    try:
      self._write(writers, limit)
      return {name: writer.finish() for name, writer in writers.items()}
    except BaseException as error:
      for writer in writers.values():
        with contextlib.suppress(Exception):
          writer.finish()  # closes its files
      if isinstance(error, RuntimeError):  # array_record's, of a full disk
        raise OSError(str(error).partition(";")[0]) from error
      raise

  def _write(self, writers: Mapping[str, SplitWriter], limit: float) -> None:
    held_out: set[bytes] = set()
    if VALIDATION in self._parts:
      for document in self._spools[VALIDATION].documents():
        held_out.add(document.digest)
        writers[VALIDATION].add_flat(document.ids, document.lengths)
    written = 0
    for document in self._spools[CORPUS].documents():
      split = (
        VALIDATION if documents.share(document.digest) <= limit else "train"
      )
      writers[split].add_flat(document.ids, document.lengths)
      self._shared += document.digest in held_out
      written += len(document.ids)
      self._progress("write", written / self._states[CORPUS].tokens, written)

  def _limit(self, share: float) -> float:
    """Largest `documents.share` that goes to validation; -1 for none."""
    if not share:
      return -1.0
    shares = np.sort(
      np.fromiter(map(documents.share, self._spools[CORPUS].digests()), float)
    )
    least = min(_LEAST_VALIDATION, len(shares) // 2)
    count = max(int(np.searchsorted(shares, share)), least)
    if not count or shares[count - 1] == shares[-1]:
      raise ValueError(
        f"validation={share:g} leaves nothing to train or to validate on "
        f"(different documents: {len(np.unique(shares))}); give "
        "documents=blank_line, validation=FILE or validation=0"
      )
    return float(shares[count - 1])

  def counts(self) -> dict[str, int]:
    """What was left out, and what stands on both sides."""
    states = self._states.values()
    return {
      "skipped_records": sum(state.skipped for state in states),
      "empty_documents": sum(s.empty + s.unwritten for s in states),
      "shared_documents": self._shared,
    }


def write_identity(
  work: Workspace,
  tokenizer: Tokenizer,
  source: Mapping[str, Any],
  splits: Mapping[str, Mapping[str, Any]],
) -> None:
  """Put the tokenizer and the manifest beside the splits."""
  folder = work.path / "store"
  tokenizer.save(folder / "tokenizer")
  write_manifest(
    folder,
    source=source,
    tokenizer={
      "name": tokenizer.name,
      "sha256": tokenizer.sha256,
      "vocab_size": tokenizer.vocab_size,
      "special_ids": {
        "pad": tokenizer.pad_id,
        "unk": tokenizer.unk_id,
        "cls": tokenizer.cls_id,
        "sep": tokenizer.sep_id,
        "mask": tokenizer.mask_id,
      },
    },
    splits=splits,
  )


def _hashed(corpus: Corpus, *, skip: int) -> Iterator[Hashed]:
  for number, document in enumerate(corpus):
    if number >= skip:
      yield Hashed(documents.digest(document.text), document.text)
