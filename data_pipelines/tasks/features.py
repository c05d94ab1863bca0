# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Texts → what the encoder reads, and the batches of a classification task.

A row is one example, the classic BERT row: `[CLS] a [SEP]`, or
`[CLS] a [SEP] b [SEP]` with b of type 1 (Devlin et al., 2018, figure 2).
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from bertjax.batch import (
  CLASSIFICATION_FEATURES,
  ENCODER_FEATURES,
  Batch,
  empty_batch,
)
from data_pipelines.tasks.classification import order


class Tokenizer(Protocol):
  """What is needed of a tokenizer here."""

  pad_id: int
  cls_id: int
  sep_id: int

  def encode(self, texts: Sequence[str]) -> Sequence[np.ndarray]:
    """Ids of each text, no special pieces added."""
    ...


def encode_texts(
  tokenizer: Tokenizer,
  texts: Sequence[str],
  pairs: Sequence[str] | None,
  seq_length: int,
) -> Batch:
  """Encode every text (with its pair) as a row of `seq_length` pieces.

  What is too long is cut at its end, of a pair the longer text first
  (google-research/bert, run_classifier.py, `_truncate_seq_pair`).

  Returns:
    `ENCODER_FEATURES` with a row for each text, R = 1.

  Raises:
    ValueError: a length without room for a piece of every text, or pairs and
      texts of unequal number.
  """
  specials = 2 if pairs is None else 3
  if seq_length < 2 * specials - 1:
    raise ValueError(
      f"seq_length={seq_length} leaves no room for text beside {specials} "
      f"special pieces; give {2 * specials - 1} or more"
    )
  if pairs is not None and len(pairs) != len(texts):
    raise ValueError(
      f"{len(texts)} texts have {len(pairs)} pairs; give as many"
    )
  first = tokenizer.encode(texts)
  second = None if pairs is None else tokenizer.encode(pairs)
  rows = empty_batch(
    ENCODER_FEATURES, {"B": len(texts), "S": seq_length, "R": 1}
  )
  rows["tokens_BS"][...] = tokenizer.pad_id
  for row, a in enumerate(first):
    b = () if second is None else second[row]
    size_a, size_b = fit(len(a), len(b), seq_length - specials)
    parts = [[tokenizer.cls_id], a[:size_a], [tokenizer.sep_id]]
    if second is not None:
      parts += [b[:size_b], [tokenizer.sep_id]]
    ids = np.concatenate([np.asarray(part, np.int32) for part in parts])
    rows["tokens_BS"][row, : len(ids)] = ids
    rows["types_BS"][row, size_a + 2 : len(ids)] = 1
    rows["positions_BS"][row, : len(ids)] = np.arange(len(ids))
    rows["packs_BS"][row, : len(ids)] = 1
  return rows


def fit(size_a: int, size_b: int, budget: int) -> tuple[int, int]:
  """How much of two texts stays when the longer one loses its end first."""
  if size_a + size_b <= budget:
    return size_a, size_b
  # As if pieces were dropped one by one, b's where both are as long.
  half_a, half_b = budget - budget // 2, budget // 2
  if size_b <= half_b:
    return budget - size_b, size_b
  if size_a <= half_a:
    return size_a, budget - size_a
  return half_a, half_b


class TaskBatches:
  """Batches of one split; each is a pure function of (seed, step)."""

  def __init__(self, features: Batch, labels_N: np.ndarray) -> None:
    if not len(labels_N):
      raise ValueError("a split without examples makes no batch; give it some")
    self._features = features
    self._labels_N = labels_N
    self._order = functools.lru_cache(maxsize=4)(
      functools.partial(order, len(labels_N))
    )

  def __len__(self) -> int:
    """Number of examples."""
    return len(self._labels_N)

  def sha256(self) -> str:
    """Return a hash of every example, in order."""
    sha256 = hashlib.sha256()
    for array in (*self._features.values(), self._labels_N):
      sha256.update(f"{array.dtype}{array.shape}".encode())
      sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()

  def training(self, *, seed: int, step: int, batch_size: int) -> Batch:
    """Return batch `step`: epoch after epoch, each in an order of its own.

    An epoch's last examples share a batch with the next one's first, so that
    every batch is full and every example is seen equally often.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, ranks = np.divmod(places, len(self))
    rows = [
      self._order(seed, int(epoch))[rank]
      for epoch, rank in zip(epochs, ranks, strict=True)
    ]
    return self._take(np.asarray(rows), batch_size)

  def evaluation(self, batch_size: int) -> Iterator[Batch]:
    """Every example once, in order; the last batch is padded, weight 0."""
    for start in range(0, len(self), batch_size):
      stop = min(start + batch_size, len(self))
      yield self._take(np.arange(start, stop), batch_size)

  def _take(self, rows: np.ndarray, batch_size: int) -> Batch:
    seq_length = self._features["tokens_BS"].shape[1]
    batch = empty_batch(
      CLASSIFICATION_FEATURES, {"B": batch_size, "S": seq_length, "R": 1}
    )
    for name in ENCODER_FEATURES:
      batch[name][: len(rows)] = self._features[name][rows]
    batch["label_B"][: len(rows)] = self._labels_N[rows]
    batch["weight_B"][: len(rows)] = 1
    return batch
