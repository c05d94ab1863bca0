# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The second pass over a corpus: write the encoded documents as a store."""

import contextlib
import heapq
import itertools
import pathlib
import shutil
from collections.abc import Iterator, Mapping

from data_pipelines.corpora import documents
from data_pipelines.prepare.deduplication import Repeats, find_repeats
from data_pipelines.prepare.encode_pass import EncodePass, Progress
from data_pipelines.prepare.encoding import Encoded
from data_pipelines.prepare.left_out import LeftOut
from data_pipelines.prepare.options import CORPUS, VALIDATION
from data_pipelines.prepare.splits import split_limit
from data_pipelines.store.manifest import SplitEntry
from data_pipelines.store.store_writer import SplitWriter


class WritePass:
  """Writes the documents of an encode pass in the order of their hashes.

  Attributes:
    left_out: counts of what encoding and writing left out.
  """

  def __init__(
    self,
    encoded: EncodePass,
    folder: pathlib.Path,
    vocab_size: int,
    progress: Progress,
  ) -> None:
    """Prepare to write `encoded` to `folder`/store."""
    self._spools = encoded.spools
    self._states = encoded.states
    self._folder = folder
    self._vocab_size = vocab_size
    self._progress = progress
    self.left_out = LeftOut.by_encoding(self._states.values())

  def run(self, share: float, *, deduplicate: bool) -> dict[str, SplitEntry]:
    """Write the splits and return their entries in the manifest.

    Args:
      share: share of the corpus that goes to validation, if validation has no
        part of its own; at least two documents of four or more go there.
      deduplicate: leave out documents that occurred before, and such
        paragraphs if the encoder has hashed paragraphs. Documents of a
        validation corpus are always left out of training.

    Raises:
      ValueError: a split has no text.
    """
    limit = split_limit(self._spools[CORPUS].digests, share)
    folder = self._folder / "store"
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed run
    folder.mkdir()
    names = ["train"]
    if share or VALIDATION in self._spools:
      names.append(VALIDATION)
    writers = {
      name: SplitWriter(folder, name, self._vocab_size) for name in names
    }
    try:
      for part, document in self._kept(deduplicate=deduplicate):
        held_out = part == VALIDATION or (
          limit >= 0 and documents.share(document.digest) <= limit
        )
        split = VALIDATION if held_out else "train"
        writers[split].add_flat(document.ids, document.lengths)
      splits = {name: writer.finish() for name, writer in writers.items()}
    except BaseException as error:
      for writer in writers.values():
        with contextlib.suppress(Exception):
          writer.finish()  # closes its files
      if isinstance(error, RuntimeError):  # array_record, disk full
        raise OSError(str(error).partition(";")[0]) from error
      raise
    for name, entry in splits.items():
      if not entry.tokens:
        raise ValueError(
          f"split {name} has no text left, because all of it is repeated; give "
          "--deduplicate=none, or another corpus or validation"
        )
    return splits

  def _kept(self, *, deduplicate: bool) -> Iterator[tuple[str, Encoded]]:
    """Yield each document to write and its part, in order of hashes."""
    left = self.left_out
    repeats = self._repeats() if deduplicate else {}
    last: dict[str, bytes] = {}
    total = sum(state.tokens for state in self._states.values())
    read = 0
    for part, document in self._ordered():
      tokens = len(document.ids)
      read += tokens
      self._progress("write", read / total, read)
      again = last.get(part) == document.digest
      shared = last.get(VALIDATION) == document.digest and part == CORPUS
      last[part] = document.digest
      left.duplicate_documents += again
      if shared:
        left.held_out_documents += 1
        continue
      if deduplicate and again:
        left.duplicate_tokens += tokens
        continue
      if part in repeats:
        document, removed = repeats[part].remove(document)
        left.duplicate_paragraphs += removed
        left.duplicate_tokens += tokens - len(document.ids)
        left.duplicate_documents += not len(document.ids)
      yield part, document

  def _ordered(self) -> Iterator[tuple[str, Encoded]]:
    """Yield all documents in order of hashes, equal ones validation first."""
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
      self._folder / "repeats",
      paragraphs,
    )
    return dict(zip(names, found, strict=True))
