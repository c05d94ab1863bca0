# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Several short windows in a row, so that no padding is paid for."""

import dataclasses
from concurrent.futures import Future

import jax
import numpy as np

from bertjax.batch import Batch
from bertjax.finetune import windows
from bertjax.finetune.fixed_shapes import FixedShapes, Outputs
from data_pipelines.tasks import packing
from data_pipelines.tasks.batches import TaskBatches


@dataclasses.dataclass(frozen=True)
class PackedOutputs:
  """Outputs of packed rows that devices are computing."""

  places: windows.Places
  parts: tuple[Future[Outputs], ...]

  def read(self) -> Batch:
    """Wait for the outputs; return them by window, in order."""
    parts = jax.device_get([part.result() for part in self.parts])
    whole = {
      name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    return windows.by_window(whole, self.places)


class PackedRows:
  """Applies a model in rows of one shape that are full of short windows.

  Args:
    forward: what computes a batch.
  """

  def __init__(self, forward: FixedShapes) -> None:
    self._forward = forward

  def start(self, features: Batch) -> PackedOutputs:
    """Begin to compute the outputs of windows, which have a row each."""
    rows = self._forward.rows(self._forward.seq_length)
    data = TaskBatches(features, {}, pack=True)
    batches = [
      (_full_shape(batch.arrays, rows), _full(batch.window_BR, rows, -1))
      for batch in data.evaluation(rows)
    ]
    places = windows.find(
      np.concatenate([arrays["packs_BS"] for arrays, _ in batches]),
      np.concatenate([arrays["starts_BR"] for arrays, _ in batches]),
      np.concatenate([window_BR for _, window_BR in batches]),
    )
    return PackedOutputs(
      places, tuple(self._forward.submit(arrays) for arrays, _ in batches)
    )


def _full_shape(arrays: Batch, rows: int) -> Batch:
  """Return a batch with all rows and packs, so that all have one shape."""
  return {
    name: _full(array, rows, 0)
    if name.endswith("_BR")
    else np.pad(array, ((0, rows - len(array)), (0, 0)))
    for name, array in arrays.items()
  }


def _full(array_BR: np.ndarray, rows: int, empty: int) -> np.ndarray:
  missing = rows - len(array_BR), packing.MAX_PACKS - array_BR.shape[1]
  return np.pad(
    array_BR, [(0, size) for size in missing], constant_values=empty
  )
