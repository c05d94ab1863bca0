# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of texts of a split, of which the second follows the first or not.

Every A and every B is once in a pair that follows and once in one that does
not, of each kind, so that neither of them alone tells which it is. A document
is in one part only: train, dev or test.

Suffixes: D documents, P places where a B follows an A, N pairs.
"""

import dataclasses

import numpy as np

from bertjax.batch import ENCODER_FEATURES, Batch, empty_batch
from data_pipelines.host_rng import HostRng
from data_pipelines.store.layout import LENGTH
from data_pipelines.store.store import Split, Store
from data_pipelines.store.token_reader import TokenReader

# Where the B of a pair that does not follow is from.
NEGATIVES = ("same_document", "other_document")
PARTS = ("train", "dev", "test")
# Two documents of each part can lend each other a B.
_FEWEST = 6
# Documents that are looked at.
_LOOKED_AT = 100_000


@dataclasses.dataclass(frozen=True)
class FollowingPairs:
  """Pairs as rows of an encoder.

  Attributes:
    features: `ENCODER_FEATURES` of 3 P rows, R = 1: P pairs that follow, then P
      for each of `NEGATIVES`.
    part_P: int64, the number in `PARTS`.
    documents: number of documents.
  """

  features: Batch
  part_P: np.ndarray
  documents: int

  def rows(self, negative: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of pairs, half of which follow.

    Args:
      negative: one of `NEGATIVES`.

    Returns:
      int64 [2 P] each: the numbers of the rows, the labels (1 follows), and the
      parts.
    """
    size = len(self.part_P)
    first = size * (1 + NEGATIVES.index(negative))
    rows_N = np.concatenate((np.arange(size), np.arange(first, first + size)))
    return rows_N, np.repeat([1, 0], size), np.tile(self.part_P, 2)


def plan_pairs_that_follow(
  store: Store, split: str, *, pairs: int, seq_length: int, seed: int = 0
) -> FollowingPairs:
  """Draw pairs evenly from the documents of a split.

  Args:
    store: the prepared store.
    split: name of its split.
    pairs: pairs of each kind of negatives at most, half of which follow.
    seq_length: tokens of a pair at most, special tokens included.
    seed: chooses documents, and each B that does not follow.

  Raises:
    ValueError: fewer than six documents hold two pairs.
  """
  text, rng = store.split(split), HostRng("following", seed)
  budget = (seq_length - store.template.count(pair=True)) // 2
  spans_D = _find_spans(text, rng, budget, wanted=pairs // 2)
  if len(spans_D) < _FEWEST:
    raise ValueError(
      f"split {split!r} of {store.path} has {len(spans_D)} documents that hold "
      f"two pairs of {2 * budget} tokens, and the probe of what follows needs "
      f"{_FEWEST}; prepare more documents for it (--validation=0.1), or leave "
      "the probe out with --config.probes.pairs=0"
    )
  held = max(2, round(0.2 * len(spans_D)))
  part_D = np.zeros(len(spans_D), np.int64)
  part_D[-2 * held : -held], part_D[-held:] = 1, 2
  spans_D = _balance(spans_D, part_D, pairs // 2)
  count_D = np.array([len(spans) for spans in spans_D])
  part_P = np.repeat(part_D, count_D)
  spans_P4 = np.concatenate(spans_D)
  first, second = spans_P4[:, :2], spans_P4[:, 2:]
  others = [
    second[_within_documents(count_D, rng)],
    second[_across_documents(count_D, part_D)],
  ]
  rows = [np.concatenate((first, each), axis=1) for each in (second, *others)]
  features = _write(store, text, np.concatenate(rows), seq_length)
  return FollowingPairs(features, part_P, len(spans_D))


def _find_spans(
  split: Split, rng: HostRng, budget: int, wanted: int
) -> list[np.ndarray]:
  """Return int64 [P, 4] of each document: first token and length of A and B."""
  found = []
  order = rng.permutation("documents", split.num_documents)
  for document in order[:_LOOKED_AT].tolist():
    spans = _spans_of(split, document, budget)
    if len(spans) > 1:
      found.append(spans)
    if 2 * len(found) >= max(wanted, 2 * _FEWEST):
      break
  return found


def _spans_of(split: Split, document: int, budget: int) -> np.ndarray:
  """Return what follows what in a document, without a token in two of them."""
  begin, end = split.documents[document : document + 2].tolist()
  lengths = (split.sentences[begin:end] & LENGTH).astype(np.int64).tolist()
  if len(lengths) < 4:
    return np.zeros((0, 4), np.int64)
  address = int(split.addresses(np.array([begin]))[0])
  texts, at = [], 0
  while at < len(lengths):
    size, first = lengths[at], address
    at += 1
    while at < len(lengths) and size + lengths[at] <= budget:
      size += lengths[at]
      at += 1
    texts.append((first, size))
    address += size
  spans = []
  for (first, size), (second, more) in zip(
    texts[::2], texts[1::2], strict=False
  ):
    cut = max(size - budget, 0)  # what stands next to B stays
    spans.append((first + cut, size - cut, second, min(more, budget)))
  return np.array(spans, np.int64).reshape(-1, 4)


def _balance(
  spans_D: list[np.ndarray], part_D: np.ndarray, wanted: int
) -> list[np.ndarray]:
  """Take about as many pairs of each document, evenly over its text."""
  count_D = np.array([len(spans) for spans in spans_D])
  most = 2
  while most < count_D.max() and np.minimum(count_D, most).sum() < wanted:
    most += 1
  count_D = np.minimum(count_D, most)
  for part in range(len(PARTS)):
    # Half of the pairs of a part are not of its longest document.
    own = np.flatnonzero(part_D == part)
    longest = own[count_D[own].argmax()]
    count_D[longest] = min(
      count_D[longest], count_D[own].sum() - count_D[longest]
    )
  return [
    spans[np.arange(count) * len(spans) // count]
    for spans, count in zip(spans_D, count_D.tolist(), strict=True)
  ]


def _within_documents(count_D: np.ndarray, rng: HostRng) -> np.ndarray:
  """Return another place of the same document for each place."""
  shift_D = 1 + rng.integers("shift", count_D - 1)
  first_P = np.repeat(np.cumsum(count_D) - count_D, count_D)
  own_P = np.arange(count_D.sum()) - first_P
  return first_P + (own_P + np.repeat(shift_D, count_D)) % np.repeat(
    count_D, count_D
  )


def _across_documents(count_D: np.ndarray, part_D: np.ndarray) -> np.ndarray:
  """Return a place of another document of the same part for each place."""
  part_P = np.repeat(part_D, count_D)
  other_P = np.arange(len(part_P))
  for part in range(len(PARTS)):
    places = np.flatnonzero(part_P == part)
    other_P[places] = np.roll(places, -int(count_D[part_D == part].max()))
  return other_P


def _write(
  store: Store, split: Split, rows_N4: np.ndarray, seq_length: int
) -> Batch:
  """Return a pair with its special tokens for each row of addresses."""
  template = store.template
  sizes = {"B": len(rows_N4), "S": seq_length, "R": 1}
  batch = empty_batch(ENCODER_FEATURES, sizes)
  batch["tokens_BS"][...] = store.special_ids["pad"]
  address_K = rows_N4[:, 0::2].reshape(-1)
  length_K = rows_N4[:, 1::2].reshape(-1)
  texts = np.split(
    TokenReader(split).gather(address_K, length_K), np.cumsum(length_K)[:-1]
  )
  for row, (a, b) in enumerate(zip(texts[::2], texts[1::2], strict=True)):
    tokens = template.join(a, b)
    batch["tokens_BS"][row, : len(tokens)] = tokens
    batch["types_BS"][row, : len(tokens)] = template.types(len(a), len(b))
    batch["positions_BS"][row, : len(tokens)] = np.arange(len(tokens))
    batch["packs_BS"][row, : len(tokens)] = 1
  return batch
