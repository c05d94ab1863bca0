# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of a fine-tuning task, whatever its target record."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bertjax.batch import Batch, EvaluationBatch, Shape, TaskData
from bertjax.config import TaskConfig
from data_pipelines.tasks import packing
from data_pipelines.tasks.features import Tokenizer
from data_pipelines.tasks.figures import TaskFigures

# The number of batches that `shapes` looks at is near this.
_LOOKED_AT = 4096
# Each is compiled; none of the seven public data sets would take a fifth one.
_MOST_SHAPES = 4


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
    together: the most windows of an example, where all of them are drawn
      together and stand in one row, which is so many times as long; 0 where
      each window is drawn alone.
    identity: JSON-able, what scores depend on beyond arrays, for `sha256`.

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
    together: int = 0,
    identity: Sequence[Any] = (),
  ) -> None:
    self._arrays = {**features, **targets}
    self._targets = targets
    self._identity = identity
    self._pack = pack
    self._seq_length = features["packs_BS"].shape[1] * max(together, 1)
    self._max_packs = packing.MAX_PACKS // max(together, 1)
    self.length_N = np.count_nonzero(features["packs_BS"], axis=1)
    if not self.num_windows:
      raise ValueError("a split without examples makes no batch; give it some")
    self.owners_N = (
      np.arange(self.num_windows) if owners_N is None else owners_N
    )
    self.examples = examples
    # What is drawn and placed as a whole: a window, or those of an example.
    self._count_G = np.ones(self.num_windows, np.int64)
    if together:
      self._count_G = np.bincount(self.owners_N)
    self._first_G = np.cumsum(self._count_G) - self._count_G
    self._order = functools.lru_cache(maxsize=4)(
      functools.partial(order, self.num_drawn)
    )

  def __len__(self) -> int:
    """Return the number of examples."""
    return int(self.owners_N[-1]) + 1

  @property
  def num_windows(self) -> int:
    """The number of windows."""
    return len(self.length_N)

  @property
  def num_drawn(self) -> int:
    """How many draws an epoch has: windows, or examples drawn as a whole."""
    return len(self._count_G)

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
      sha256.update(np.ascontiguousarray(array).data)
    if self._identity:
      sha256.update(json.dumps(self._identity).encode())
    return sha256.hexdigest()

  def shapes(
    self,
    *,
    batch_size: int,
    seeds: Sequence[int],
    steps: int,
    multiple: int,
    compile_rows: float,
  ) -> tuple[Shape, ...]:
    """Return the few sizes of the training batches of these seeds, ascending.

    They hold all batches that are looked at: `training` enlarges the last one
    for the few that need more.
    """
    if not self._pack:
      return (Shape(batch_size, int(self._count_G.max())),)
    every = range(0, steps, -(-steps * len(seeds) // _LOOKED_AT))
    layouts = [
      self._layout(self._draw(seed, step, batch_size), pack=True)
      for seed in seeds
      for step in every
    ]
    packs = max(layout.shape.packs for layout in layouts)
    rows = [-(-layout.shape.rows // multiple) * multiple for layout in layouts]
    price = compile_rows * len(rows) / steps
    return tuple(
      Shape(size, packs, multiple)
      for size in packing.few_sizes(rows, price, _MOST_SHAPES)
    )

  def training(
    self,
    *,
    seed: int,
    step: int,
    batch_size: int,
    shapes: Sequence[Shape] = (),
  ) -> Batch:
    """Return the training batch of a step: `batch_size` draws.

    Each epoch has an order of its own. The last windows of an epoch share a
    batch with the first ones of the next, so that every batch is full and
    every window is seen equally often. The windows of a batch do not depend on
    `shapes`; a batch that fits in none has more rows (`Shape.enlarged`).
    """
    drawn_G = self._draw(seed, step, batch_size)
    layout = self._layout(drawn_G, pack=self._pack and bool(shapes))
    needed = layout.shape
    shape = next(
      (each for each in shapes if each.rows >= needed.rows),
      shapes[-1].enlarged(needed.rows) if shapes else needed,
    )
    if needed.packs > shape.packs:
      shape = shape._replace(packs=packing.MAX_PACKS)
    return self._fill(self._windows(drawn_G), layout, shape)

  def evaluation(
    self, batch_size: int, multiple: int = 1
  ) -> Iterator[EvaluationBatch]:
    """Yield batches of one size that have every window once.

    Unpacked windows are in order. The last batch is padded with zeros.
    """
    windows_N = np.arange(self.num_windows)
    layout = self._layout(np.arange(self.num_drawn), pack=self._pack)
    rows, packs = layout.shape.rows, layout.shape.packs
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

  def _draw(self, seed: int, step: int, batch_size: int) -> np.ndarray:
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, ranks = np.divmod(places, self.num_drawn)
    return np.asarray(
      [
        self._order(seed, int(epoch))[rank]
        for epoch, rank in zip(epochs, ranks, strict=True)
      ]
    )

  def _windows(self, drawn_G: np.ndarray) -> np.ndarray:
    """Return the windows of what is drawn, in order."""
    count_G = self._count_G[drawn_G]
    return np.repeat(self._first_G[drawn_G], count_G) + packing.offsets(count_G)

  def _layout(self, drawn_G: np.ndarray, *, pack: bool) -> packing.Layout:
    length_N = self.length_N[self._windows(drawn_G)]
    count_G = self._count_G[drawn_G]
    groups = packing.one_each(len(drawn_G))
    if pack:
      length_G = np.add.reduceat(length_N, np.cumsum(count_G) - count_G)
      groups = packing.pack(length_G, self._seq_length, self._max_packs)
    return packing.expand(groups, count_G, length_N)

  def _fill(
    self, windows_N: np.ndarray, layout: packing.Layout, shape: Shape
  ) -> Batch:
    return packing.fill(
      self._arrays,
      windows_N,
      self.length_N[windows_N],
      layout,
      shape,
      self._seq_length,
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
    labels: the classes of a model that is only scored, which may be none. Then
      `task.test` is the one file that is read, and the one split. None reads
      all splits, and the classes from train.
  """

  seq_length: int
  pack: bool = True
  labels: tuple[str, ...] | None = None


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
