# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of a fine-tuning task, whatever its target record."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bertjax.batch import Batch, EvaluationBatch, Shape, TaskData
from bertjax.config import TaskConfig
from data_pipelines.tasks import packing
from data_pipelines.tasks.features import Tokenizer
from data_pipelines.tasks.figures import TaskFigures

# The number of batches that `shape` looks at is near this.
_LOOKED_AT = 4096


class TaskBatches:
  """Batches of one split; each is a pure function of (seed, step).

  Args:
    features: the encoder's features, one row for each window.
    targets: the target record of the task, with the same rows. Padding is zeros
      in every array, so the record needs a weight.
    owners_N: the example of each window, ascending; None where each example is
      one window.
    examples: what scores and answers need of each example beyond arrays.
    pack: whether a row holds several windows.

  Raises:
    ValueError: there is no example.
  """

  def __init__(
    self,
    features: Batch,
    targets: Batch,
    *,
    owners_N: np.ndarray | None = None,
    examples: Sequence[Any] = (),
    pack: bool = False,
  ) -> None:
    self._arrays = {**features, **targets}
    self._targets = targets
    self._pack = pack
    self._length_N = np.count_nonzero(features["packs_BS"], axis=1)
    if not self.num_windows:
      raise ValueError("a split without examples makes no batch; give it some")
    self.owners_N = (
      np.arange(self.num_windows) if owners_N is None else owners_N
    )
    self.examples = examples
    self._order = functools.lru_cache(maxsize=4)(
      functools.partial(order, self.num_windows)
    )

  def __len__(self) -> int:
    """Return the number of examples."""
    return int(self.owners_N[-1]) + 1

  @property
  def num_windows(self) -> int:
    """The number of windows."""
    return len(self._length_N)

  def sha256(self) -> str:
    """Return a hash of every window, in order."""
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

  def shape(
    self, *, batch_size: int, seeds: Sequence[int], steps: int, multiple: int
  ) -> Shape:
    """Return the size of the training batches of these seeds.

    It is the largest that some of the batches need: `training` enlarges it for
    the few that need more.
    """
    if not self._pack:
      return Shape(batch_size, 1)
    every = range(0, steps, -(-steps * len(seeds) // _LOOKED_AT))
    layouts = [
      self._layout(self._windows(seed, step, batch_size))
      for seed in seeds
      for step in every
    ]
    rows = max(layout.shape.rows for layout in layouts)
    packs = max(layout.shape.packs for layout in layouts)
    return Shape(-(-rows // multiple) * multiple, packs)

  def training(
    self, *, seed: int, step: int, batch_size: int, shape: Shape | None = None
  ) -> Batch:
    """Return the training batch of a step: `batch_size` windows.

    Each epoch has an order of its own. The last windows of an epoch share a
    batch with the first ones of the next, so that every batch is full and
    every window is seen equally often. The windows of a batch do not depend on
    `shape`; a batch that does not fit has twice its rows, and so on.
    """
    windows_N = self._windows(seed, step, batch_size)
    layout = self._layout(windows_N) if shape else packing.one_each(batch_size)
    shape = shape or layout.shape
    rows, packs = shape
    while rows < layout.shape.rows:
      rows *= 2
    packs = packs if layout.shape.packs <= packs else packing.MAX_PACKS
    return self._fill(windows_N, layout, Shape(rows, packs))

  def evaluation(
    self, batch_size: int, multiple: int = 1
  ) -> Iterator[EvaluationBatch]:
    """Yield batches of one size that have every window once.

    Unpacked windows are in order. The last batch is padded with zeros.
    """
    windows_N = np.arange(self.num_windows)
    layout = self._layout(windows_N)
    rows, packs = layout.shape
    if self._pack:
      batch_size = min(batch_size, -(-rows // multiple) * multiple)
    shape = Shape(batch_size, packs)
    for start in range(0, rows, batch_size):
      is_here_N = layout.row_N // batch_size == start // batch_size
      part = packing.Layout(
        shape,
        layout.row_N[is_here_N] - start,
        layout.pack_N[is_here_N],
        layout.start_N[is_here_N],
      )
      window_BR = np.full((batch_size, packs), -1, np.int64)
      window_BR[part.row_N, part.pack_N] = windows_N[is_here_N]
      yield EvaluationBatch(
        self._fill(windows_N[is_here_N], part, shape), window_BR
      )

  def _windows(self, seed: int, step: int, batch_size: int) -> np.ndarray:
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, ranks = np.divmod(places, self.num_windows)
    return np.asarray(
      [
        self._order(seed, int(epoch))[rank]
        for epoch, rank in zip(epochs, ranks, strict=True)
      ]
    )

  def _layout(self, windows_N: np.ndarray) -> packing.Layout:
    if not self._pack:
      return packing.one_each(len(windows_N))
    seq_length = self._arrays["packs_BS"].shape[1]
    return packing.pack(self._length_N[windows_N], seq_length)

  def _fill(
    self, windows_N: np.ndarray, layout: packing.Layout, shape: Shape
  ) -> Batch:
    return packing.fill(
      self._arrays, windows_N, self._length_N[windows_N], layout, shape
    )


@dataclasses.dataclass(frozen=True)
class MeasuredData(TaskData):
  """The data of a task, and what was measured of them."""

  figures: TaskFigures


class RowOptions(NamedTuple):
  """What the rows of a task are like.

  Attributes:
    seq_length: positions of a row.
    pack: whether a row holds several windows.
  """

  seq_length: int
  pack: bool = True


# (config, tokenizer of the encoder, rows) → the data, split and encoded. It
# raises a ValueError if the data or the config cannot be used.
ReadTask = Callable[[TaskConfig, Tokenizer, RowOptions], MeasuredData]


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
