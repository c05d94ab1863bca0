# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents into token ids, here or in worker processes, in their order."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import multiprocessing
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines.corpora import sentences
from data_pipelines.store.layout import token_dtype
from data_pipelines.tokenizers.tokenizer import Tokenizer

# Of text, encoded in one go: short documents share the cost of a call.
_BATCH_CHARACTERS = 1 << 18
# Of text, handed to workers at a time, were all documents huge.
_IN_FLIGHT = 1 << 25
# Shorter paragraphs ("Yes.", "CHAPTER II", "* * *") are no repetition of text.
_LEAST_PARAGRAPH = 40  # characters


class Hashed(NamedTuple):
  """A document's text and its `documents.digest`."""

  digest: bytes
  text: str


class Encoded(NamedTuple):
  """A document as the store keeps it.

  Attributes:
    digest: as `documents.digest` gives it.
    ids: of its sentences in a row; uint16 where the vocabulary allows.
    lengths: int64, tokens of each sentence.
    paragraphs: uint64 [paragraphs, 2], a hash of the text of each (0 of a very
      short one) and its sentences; [0, 2] where nobody asked for them.
  """

  digest: bytes
  ids: np.ndarray
  lengths: np.ndarray
  paragraphs: np.ndarray


@dataclasses.dataclass(frozen=True)
class Encoder:
  """The pure function of documents that preparing is made of.

  Attributes:
    tokenizer: what to encode with.
    mode: how to find sentences; one of `sentences.MODES`.
    paragraphs: whether to hash them, for who looks for repetitions.
  """

  tokenizer: Tokenizer
  mode: str
  paragraphs: bool = False

  def __call__(self, batch: Sequence[Hashed]) -> list[Encoded]:
    """Cut each document into sentences and those into pieces."""
    texts = [sentences.split_paragraphs(doc.text, self.mode) for doc in batch]
    flat = [
      [sentence for paragraph in document for sentence in paragraph]
      for document in texts
    ]
    ids, lengths = self.tokenizer.encode_flat(
      [sentence for document in flat for sentence in document]
    )
    ids = ids.astype(token_dtype(self.tokenizer.vocab_size))
    sentence_ends = np.cumsum([len(document) for document in flat])
    token_ends = np.concatenate(([0], np.cumsum(lengths)))[sentence_ends]
    return [
      Encoded(*parts)
      for parts in zip(
        (document.digest for document in batch),
        np.split(ids, token_ends[:-1]),
        np.split(lengths, sentence_ends[:-1]),
        map(self._hash_paragraphs, texts),
        strict=True,
      )
    ]

  def _hash_paragraphs(self, document: list[list[str]]) -> np.ndarray:
    if not self.paragraphs:
      return np.zeros((0, 2), np.uint64)
    pairs = [(_hash(paragraph), len(paragraph)) for paragraph in document]
    return np.array(pairs, np.uint64).reshape(-1, 2)


def _hash(paragraph: list[str]) -> int:
  text = " ".join(paragraph)
  if len(text) < _LEAST_PARAGRAPH:
    return 0
  digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
  return int.from_bytes(digest, "little")


def encode_documents(
  documents: Iterable[Hashed], encoder: Encoder, *, workers: int = 0
) -> Generator[Encoded, None, None]:
  """Encode documents, here or in worker processes.

  Args:
    documents: read as far ahead as the workers need, no further.
    encoder: what to do with each.
    workers: processes; 0 works in this one. The result is the same.

  Raises:
    OSError: a worker died.
  """
  found = batches(documents)
  if not workers:
    for batch in found:
      yield from encoder(batch)
    return
  # Spawned: a fork of a process with threads may never wake up.
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
      raise OSError("a worker process died, maybe for want of memory") from None
    finally:
      pool.shutdown(wait=True, cancel_futures=True)


def batches(documents: Iterable[Hashed]) -> Iterator[list[Hashed]]:
  """Runs of documents that are worth one call of an encoder."""
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
  # A parent that was killed tells nobody, and its workers would wait for ever.
  parent = multiprocessing.parent_process()
  assert parent is not None
  parent.join()
  os._exit(1)


def _encode_in_worker(batch: list[Hashed]) -> list[Encoded]:
  return _encoder(batch)
