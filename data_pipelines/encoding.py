# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents into token ids, here or in worker processes, in their order."""

import collections
import concurrent.futures
import multiprocessing
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from data_pipelines import sentences
from data_pipelines.pieces import Tokenizer
from data_pipelines.store import token_dtype

# Of text, encoded in one go: short documents share the cost of a call.
_BATCH_CHARACTERS = 1 << 18


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
  """

  digest: bytes
  ids: np.ndarray
  lengths: np.ndarray


def encode_documents(
  documents: Iterable[Hashed],
  tokenizer: Tokenizer,
  *,
  mode: str,
  workers: int = 0,
) -> Generator[Encoded, None, None]:
  """Cut each document into sentences and those into pieces.

  Args:
    documents: read as far ahead as the workers need, no further.
    tokenizer: what to encode with.
    mode: how to find sentences; one of `sentences.MODES`.
    workers: processes; 0 works in this one. The result is the same.

  Raises:
    OSError: a worker died.
  """
  batches = _batches(documents)
  if not workers:
    for batch in batches:
      yield from _encode(batch, tokenizer, mode)
    return
  # Spawned: a fork of a process with threads may never wake up.
  with concurrent.futures.ProcessPoolExecutor(
    workers,
    multiprocessing.get_context("spawn"),
    initializer=_start_worker,
    initargs=(tokenizer, mode),
  ) as pool:
    running: collections.deque[concurrent.futures.Future[list[Encoded]]]
    running = collections.deque()
    try:
      for batch in batches:
        running.append(pool.submit(_encode_in_worker, batch))
        if len(running) > 2 * workers:
          yield from running.popleft().result()
      while running:
        yield from running.popleft().result()
    except concurrent.futures.process.BrokenProcessPool:
      raise OSError("a worker process died, maybe for want of memory") from None
    finally:
      pool.shutdown(wait=True, cancel_futures=True)


def _batches(documents: Iterable[Hashed]) -> Iterator[list[Hashed]]:
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


def _encode(
  batch: list[Hashed], tokenizer: Tokenizer, mode: str
) -> list[Encoded]:
  split = [sentences.split(document.text, mode) for document in batch]
  ids, lengths = tokenizer.encode_flat(
    [sentence for document in split for sentence in document]
  )
  ids = ids.astype(token_dtype(tokenizer.vocab_size))
  sentence_ends = np.cumsum([len(document) for document in split])
  token_ends = np.concatenate(([0], np.cumsum(lengths)))[sentence_ends]
  return [
    Encoded(*parts)
    for parts in zip(
      (document.digest for document in batch),
      np.split(ids, token_ends[:-1]),
      np.split(lengths, sentence_ends[:-1]),
      strict=True,
    )
  ]


_worker: tuple[Tokenizer, str]


def _start_worker(tokenizer: Tokenizer, mode: str) -> None:
  global _worker
  _worker = tokenizer, mode


def _encode_in_worker(batch: list[Hashed]) -> list[Encoded]:
  return _encode(batch, *_worker)
