# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of a fine-tuning task, whatever its target record."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from bertjax.batch import Batch, TaskData
from bertjax.config import TaskConfig
from data_pipelines.tasks.features import Tokenizer
from data_pipelines.tasks.figures import TaskFigures


class TaskBatches:
  """Batches of one split; each is a pure function of (seed, step).

  Args:
    features: the encoder's features, one row for each example.
    targets: the target record of the task, with the same rows. Padding rows
      are zeros in every array, so the record needs a weight.

  Raises:
    ValueError: there is no example.
  """

  def __init__(self, features: Batch, targets: Batch) -> None:
    self._arrays = {**features, **targets}
    self._targets = targets
    if not len(self):
      raise ValueError("a split without examples makes no batch; give it some")
    self._order = functools.lru_cache(maxsize=4)(
      functools.partial(order, len(self))
    )

  def __len__(self) -> int:
    """Return the number of examples."""
    return len(self._arrays["tokens_BS"])

  def sha256(self) -> str:
    """Return a hash of every example, in order."""
    sha256 = hashlib.sha256()
    for name, array in self._arrays.items():
      if name in self._targets:
        # Hashes that are stored in results of version 1 cover neither weights
        # of 1 nor a pack axis of 1.
        if name.startswith("weight_") and (array == 1).all():
          continue
        array = array[:, 0] if array.shape[1:] == (1,) else array
      sha256.update(f"{array.dtype}{array.shape}".encode())
      sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()

  def training(self, *, seed: int, step: int, batch_size: int) -> Batch:
    """Return the training batch of a step.

    Each epoch has an order of its own. The last examples of an epoch share a
    batch with the first ones of the next, so that every batch is full and
    every example is seen equally often.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, ranks = np.divmod(places, len(self))
    rows = [
      self._order(seed, int(epoch))[rank]
      for epoch, rank in zip(epochs, ranks, strict=True)
    ]
    return self._take(np.asarray(rows), batch_size)

  def evaluation(self, batch_size: int) -> Iterator[Batch]:
    """Yield every example once, in order; pad the last batch with zeros."""
    for start in range(0, len(self), batch_size):
      stop = min(start + batch_size, len(self))
      yield self._take(np.arange(start, stop), batch_size)

  def _take(self, rows: np.ndarray, batch_size: int) -> Batch:
    batch = {}
    for name, array in self._arrays.items():
      batch[name] = np.zeros((batch_size, *array.shape[1:]), array.dtype)
      batch[name][: len(rows)] = array[rows]
    return batch


@dataclasses.dataclass(frozen=True)
class MeasuredData(TaskData):
  """The data of a task, and what was measured of them."""

  figures: TaskFigures


# (config, tokenizer of the encoder, length of a row) → the data, split and
# encoded. It raises a ValueError if the data or the config cannot be used.
ReadTask = Callable[[TaskConfig, Tokenizer, int], MeasuredData]


def order(count: int, *key: int) -> np.ndarray:
  """Return a permutation of `count` that is a pure function of `key`.

  It sorts raw words of a counter-based generator, so it is the same in every
  release of numpy.

  Args:
    count: length of the permutation.
    key: up to two numbers.
  """
  key_2 = np.zeros(2, np.uint64)
  key_2[: len(key)] = key
  words = np.random.Philox(key=key_2).random_raw(count)
  return np.argsort(np.asarray(words, np.uint64), kind="stable")
