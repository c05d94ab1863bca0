# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Put the rows of each process on the devices, as one global batch."""

import math
from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import Mesh

from bertjax.parallel.mesh import BATCH_AXES
from bertjax.parallel.sharding import batch_sharding


def batch_shards(mesh: Mesh) -> int:
  """Return how many shards the rows of a batch are cut into."""
  return math.prod(mesh.shape[axis] for axis in BATCH_AXES)


def local_rows(mesh: Mesh, batch_size: int) -> slice:
  """Return the rows of a global batch that this process must supply.

  The slice runs from the first row on one of its devices to the last. Where
  the devices of two processes alternate, it includes rows that only the other
  process needs.
  """
  indices = batch_sharding(mesh).addressable_devices_indices_map((batch_size,))
  spans = [index[0].indices(batch_size) for index in indices.values() if index]
  return slice(min(span[0] for span in spans), max(span[1] for span in spans))


def put_batch(
  batch: Mapping[str, np.ndarray], mesh: Mesh
) -> dict[str, jax.Array]:
  """Return the global batch on the devices of `mesh`, sharded by rows.

  Args:
    batch: the `local_rows` of this process.
    mesh: where to put it.
  """
  target = batch_sharding(mesh)
  if target.is_fully_addressable:
    return {
      name: jax.device_put(array, target) for name, array in batch.items()
    }
  num_shards = batch_shards(mesh)
  indices = target.addressable_devices_indices_map((num_shards,))
  spans = [index[0].indices(num_shards) for index in indices.values() if index]
  first, stop = min(spans)[0], max(spans)[1]

  def place(array: np.ndarray) -> jax.Array:
    rows = len(array) // (stop - first)
    starts = [(span[0] - first) * rows for span in spans]
    # One put a device: `make_array_from_process_local_data` transfers
    # implicitly, which the loop's transfer guard refuses.
    shards = jax.device_put(
      [array[start : start + rows] for start in starts], list(indices)
    )
    return jax.make_array_from_single_device_arrays(
      (num_shards * rows, *array.shape[1:]), target, shards
    )

  return {name: place(array) for name, array in batch.items()}
