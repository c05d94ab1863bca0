# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Apply a model to windows of any length in a few fixed shapes.

The length of a window alone chooses its bucket, the length of the rows that it
is computed in, and a bucket has one number of rows, which padding fills up. So
each bucket is compiled once, and in float32 the outputs of a window have the
same bits whatever stands beside it.
"""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from bertjax.batch import ENCODER_FEATURES, Batch
from bertjax.config import MeshConfig
from bertjax.finetune import windows
from bertjax.objectives.task import Features
from bertjax.parallel import feeding, sharding
from bertjax.parallel.mesh import make_mesh

# The shortest rows, because many texts are short. Those of the other buckets
# are 16, 24, 32, 48, … tokens, so that less than a third of a row is padding,
# but for texts of up to 8 tokens.
SHORTEST = 12
# Rows of this length are counted: enough to keep a processor, or a chip, busy.
# More of them on a CPU only make single requests wait.
_COUNTED = 16
_ROWS_ON_CPU = 16
_ROWS_ON_CHIP = 1024
# Batches that a CPU computes at once: while one is in an operation that a
# single thread runs, and while Python prepares one, the other has the cores.
_AT_ONCE_ON_CPU = 2


Outputs = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Pending:
  """Outputs that devices are computing.

  Attributes:
    parts: for each batch the numbers of its windows, where they stand, and its
      outputs.
    count: number of windows.
  """

  parts: tuple[tuple[np.ndarray, windows.Places, Future[Outputs]], ...]
  count: int

  def read(self) -> Batch:
    """Wait for the outputs; return them by window, in order.

    What is past the length of a window is zeros.
    """
    outputs = jax.device_get([part[2].result() for part in self.parts])
    longest = max(int(places.length_N.max()) for _, places, _ in self.parts)
    found: Batch = {}
    for (number_N, places, _), each in zip(self.parts, outputs, strict=True):
      for name, array_N in windows.by_window(each, places).items():
        width = array_N.shape[1:]
        if name.rpartition("_")[2].startswith("NS"):
          width = (longest, *array_N.shape[2:])
        if name not in found:
          found[name] = np.zeros((self.count, *width), array_N.dtype)
        inner = tuple(slice(size) for size in array_N.shape[1:])
        found[name][(number_N, *inner)] = array_N
    return found


class FixedShapes:
  """Applies a model in rows of a few lengths, on all local devices.

  Attributes:
    seq_length: the longest window.
    compiled: {length of rows: number of rows} of what has been compiled.
  """

  def __init__(
    self,
    outputs: Callable[[Any, Features], Outputs],
    params: Any,
    seq_length: int,
    batch_size: int = 0,
  ) -> None:
    """Put the parameters on every local device.

    Args:
      outputs: (params, features of rows) → arrays whose names end in the axes
        BR or BS and more.
      params: parameters of the model.
      seq_length: the longest window.
      batch_size: rows of 16 tokens that are computed at once; longer rows are
        fewer, so that they have as many tokens. 0 suits the devices.
    """
    devices = jax.local_devices()
    self._mesh = make_mesh(MeshConfig(), devices)
    on_cpu = devices[0].platform == "cpu"
    self._batch_size = batch_size or (
      _ROWS_ON_CPU if on_cpu else _ROWS_ON_CHIP * len(devices)
    )
    self.seq_length = seq_length
    self.compiled: dict[int, int] = {}
    # Programs of several devices wait for each other, so they take turns.
    self._threads = (
      ThreadPoolExecutor(_AT_ONCE_ON_CPU)
      if on_cpu and len(devices) == 1
      else None
    )
    replicated = sharding.replicated(self._mesh)
    self._params = jax.device_put(params, replicated)

    def apply(params: Any, rows: Features) -> Outputs:
      with sharding.activate(self._mesh):
        return outputs(params, rows)

    self._outputs = jax.jit(apply, out_shardings=replicated)

  def with_params(self, params: Any) -> "FixedShapes":
    """Return the same programs, compiled once, for other parameters."""
    other = copy.copy(self)
    other._params = jax.device_put(params, sharding.replicated(self._mesh))
    return other

  @property
  def batch_size(self) -> int:
    """The number of rows of 16 tokens."""
    return self.rows(_COUNTED)

  def rows(self, length: int) -> int:
    """Return the number of rows of a bucket, a multiple of the devices."""
    shards = feeding.batch_shards(self._mesh)
    rows = max(self._batch_size * _COUNTED // length, 1)
    return -(-rows // shards) * shards

  def start(self, features: Batch) -> Pending:
    """Begin to compute the outputs of windows.

    Args:
      features: `ENCODER_FEATURES` with a row for each window, R = 1.

    Raises:
      ValueError: a window is empty or longer than `seq_length`.
    """
    length_N = np.count_nonzero(features["packs_BS"], axis=1)
    self._check(length_N)
    buckets = bucket_lengths(self.seq_length)
    bucket_N = np.searchsorted(buckets, length_N)
    parts = []
    for bucket in np.unique(bucket_N):
      number_N = np.flatnonzero(bucket_N == bucket)
      rows = self.rows(buckets[bucket])
      for first in range(0, len(number_N), rows):
        some_N = number_N[first : first + rows]
        batch = _rows_of(features, some_N, rows, buckets[bucket])
        places = _places(batch, len(some_N))
        parts.append((some_N, places, self.submit(batch)))
    return Pending(tuple(parts), len(length_N))

  def submit(self, batch: Batch) -> Future[Outputs]:
    """Begin to compute the outputs of a batch, beside another on a CPU."""
    # What is not compiled yet is compiled once, and not by two threads.
    if self._threads and batch["packs_BS"].shape[1] in self.compiled:
      return self._threads.submit(self.apply, batch)
    future: Future[Outputs] = Future()
    future.set_result(self.apply(batch))
    return future

  def apply(self, batch: Batch) -> Outputs:
    """Begin to compute the outputs of a batch of rows."""
    rows, length = batch["packs_BS"].shape
    self.compiled[length] = rows
    return self._outputs(self._params, feeding.put_batch(batch, self._mesh))

  def _check(self, length_N: np.ndarray) -> None:
    for number, length in enumerate(length_N):
      if not 0 < length <= self.seq_length:
        raise ValueError(
          f"row {number} has {length} tokens; give 1 to {self.seq_length}"
        )


def bucket_lengths(seq_length: int) -> tuple[int, ...]:
  """Return the lengths of rows, ascending; the last one is `seq_length`.

  They depend on each other only at the end, so that a longer model has the same
  short ones.
  """
  lengths, power = [SHORTEST], _COUNTED
  while power < seq_length:
    lengths += [power, power * 3 // 2]
    power *= 2
  return (*(each for each in lengths if each < seq_length), seq_length)


def _places(batch: Batch, count: int) -> windows.Places:
  """Return where the windows of the first `count` rows stand."""
  number_B = np.arange(len(batch["packs_BS"]))
  window_BR = np.where(number_B < count, number_B, -1)[:, None]
  return windows.find(batch["packs_BS"], batch["starts_BR"], window_BR)


def _rows_of(
  features: Batch, number_N: np.ndarray, rows: int, length: int
) -> Batch:
  batch = {}
  for name, feature in ENCODER_FEATURES.items():
    array = features[name][number_N]
    if feature.axes == "BS":
      array = array[:, :length]
    shape = (rows, length if feature.axes == "BS" else 1)
    batch[name] = np.full(shape, feature.empty, feature.dtype)
    batch[name][: len(array), : array.shape[1]] = array
  return batch
