# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encode documents as token ids, here or in worker processes, in order."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import itertools
import multiprocessing
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines.corpora import sentences
from data_pipelines.corpora.sentence_rules import PRIOR, SentenceRules
from data_pipelines.store.layout import token_dtype
from data_pipelines.tokenizers.tokenizer import Tokenizer

# Characters that are encoded in one call, whose cost short documents share.
_BATCH_CHARACTERS = 1 << 18
# Most characters that workers hold at a time, however long documents are.
_IN_FLIGHT = 1 << 25
NO_PARAGRAPHS = np.zeros((0, 2), np.uint64)
# Shorter paragraphs ("Yes.", "CHAPTER II", "* * *") may repeat.
_MIN_PARAGRAPH = 40  # characters


class Hashed(NamedTuple):
  """A document's text and its `documents.digest`."""

  digest: bytes
  text: str


class Encoded(NamedTuple):
  """A document as the store keeps it.

  Attributes:
    digest: the document's `documents.digest`.
    ids: token ids of all sentences; uint16 where the vocabulary allows.
    lengths: uint32 [sentences], tokens of each sentence.
    paragraphs: uint64 [paragraphs, 2], the hash of each paragraph (0 for a very
      short one) and its number of sentences; [0, 2] if they are not hashed.
  """

  digest: bytes
  ids: np.ndarray
  lengths: np.ndarray
  paragraphs: np.ndarray


@dataclasses.dataclass(frozen=True)
class Encoder:
  """Encodes documents: a pure function, in any process and any order.

  Attributes:
    tokenizer: the tokenizer.
    mode: how to find sentences, as `sentences.split` does.
    paragraphs: whether to hash paragraphs, so that repeated ones can be found.
    rules: what was learned about the ends of sentences.
  """

  tokenizer: Tokenizer
  mode: str
  paragraphs: bool = False
  rules: SentenceRules = PRIOR

  def __call__(self, batch: Sequence[Hashed]) -> list[Encoded]:
    """Cut each document into sentences, and the sentences into tokens."""
    texts = [
      sentences.split_paragraphs(document.text, self.mode, self.rules)
      for document in batch
    ]
    ids, lengths = self.tokenizer.encode_flat(
      [sentence for document in texts for sentence in self._behind(document)]
    )
    sentence_ends = np.cumsum([sum(map(len, document)) for document in texts])
    token_ends = np.concatenate(([0], np.cumsum(lengths)))[sentence_ends]
    # Once for the batch: documents may be tiny.
    ids = ids.astype(token_dtype(self.tokenizer.vocab_size))
    lengths = lengths.astype(np.uint32)
    digests = [document.digest for document in batch]
    hashes = (
      map(_hash_paragraphs, texts)
      if self.paragraphs
      else itertools.repeat(NO_PARAGRAPHS)
    )
    parts = (digests, _split(ids, token_ends), _split(lengths, sentence_ends))
    return list(map(Encoded, *parts, hashes))

  def _behind(self, document: list[list[str]]) -> Iterator[str]:
    """Yield sentences, with a space before each but the first if it counts."""
    found = itertools.chain.from_iterable(document)
    yield from itertools.islice(found, 1)
    yield from map(self.tokenizer.after_space, found)


def _hash_paragraphs(document: list[list[str]]) -> np.ndarray:
  pairs = [(_hash(paragraph), len(paragraph)) for paragraph in document]
  return np.array(pairs, np.uint64).reshape(-1, 2)


def _split(values: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
  # `np.split` takes ten times as long for many short documents.
  return [
    values[start:stop]
    for start, stop in itertools.pairwise((0, *ends.tolist()))
  ]


def _hash(paragraph: list[str]) -> int:
  text = " ".join(paragraph)
  if len(text) < _MIN_PARAGRAPH:
    return 0
  digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
  return int.from_bytes(digest, "little")


def encode_documents(
  documents: Iterable[Hashed], encoder: Encoder, *, workers: int = 0
) -> Generator[Encoded, None, None]:
  """Encode documents, here or in worker processes.

  Args:
    documents: documents, which are read only as far ahead as workers need.
    encoder: encodes a document.
    workers: worker processes; 0 encodes in this one. The result is the same.

  Raises:
    OSError: a worker died.
  """
  found = batches(documents)
  if not workers:
    for batch in found:
      yield from encoder(batch)
    return
  # Spawned, because the fork of a process with threads may deadlock.
  with concurrent.futures.ProcessPoolExecutor(
    workers,
    multiprocessing.get_context("spawn"),
    initializer=_start_worker,
    initargs=(encoder,),
  ) as pool:
    running: collections.deque[concurrent.futures.Future[list[Encoded]]]
    running = collections.deque()
    in_flight: collections.deque[int] = collections.deque()
    try:
      for batch in found:
        size = sum(len(document.text) for document in batch)
        in_flight.append(size)
        running.append(pool.submit(_encode_in_worker, batch))
        while running and (
          len(running) > 2 * workers or sum(in_flight) > _IN_FLIGHT
        ):
          in_flight.popleft()
          yield from running.popleft().result()
      while running:
        yield from running.popleft().result()
    except concurrent.futures.process.BrokenProcessPool:
      raise OSError("a worker process died, maybe out of memory") from None
    finally:
      pool.shutdown(wait=True, cancel_futures=True)


def batches(documents: Iterable[Hashed]) -> Iterator[list[Hashed]]:
  """Group consecutive documents into batches for one call of an encoder."""
  batch: list[Hashed] = []
  size = 0
  for document in documents:
    batch.append(document)
    size += len(document.text)
    if size >= _BATCH_CHARACTERS:
      yield batch
      batch, size = [], 0
  if batch:
    yield batch


_encoder: Encoder


def _start_worker(encoder: Encoder) -> None:
  global _encoder
  _encoder = encoder
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  # Without this the workers of a parent that was killed would wait forever.
  parent = multiprocessing.parent_process()
  assert parent is not None
  parent.join()
  os._exit(1)


def _encode_in_worker(batch: list[Hashed]) -> list[Encoded]:
  return _encoder(batch)
