# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh, one table from logical axes to its axes, and what follows.

The model names logical axes and never imports this module.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.linen import spmd
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bertjax import checks
from bertjax.config import MeshConfig
from bertjax.paths import leaf_name

MESH_AXES = ("data", "fsdp", "tensor")
BATCH_AXES = ("data", "fsdp")

# Earlier rows win where two of an array's axes ask for the same mesh axis: an
# activation [batch, length, embed] gives `fsdp` to its batch, a kernel
# [embed, mlp] gives it to its embed.
LOGICAL_AXES: Sequence[tuple[str, str | tuple[str, ...] | None]] = (
  ("batch", BATCH_AXES),
  ("vocab", "tensor"),
  ("heads", "tensor"),
  ("mlp", "tensor"),
  ("embed", "fsdp"),
  ("length", None),
  ("kv", None),
  ("layers", None),
)


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
  """Return the mesh data × fsdp × tensor over `devices` (default: all).

  Raises:
    ValueError: the axes do not multiply to the number of devices.
  """
  devices = jax.devices() if devices is None else devices
  shape = checks.mesh_shape(config, len(devices))
  # Auto: the compiler places what the table leaves open (facts.md, trap 9).
  return jax.make_mesh(
    shape,
    MESH_AXES,
    devices=devices,
    axis_types=(AxisType.Auto,) * len(MESH_AXES),
  )


@contextlib.contextmanager
def activate(mesh: Mesh) -> Iterator[None]:
  """Give logical constraints their meaning while a function is traced."""
  with (
    jax.sharding.use_abstract_mesh(mesh.abstract_mesh),
    nn.logical_axis_rules(LOGICAL_AXES),
  ):
    yield


def replicated(mesh: Mesh) -> NamedSharding:
  """Sharding of what every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Sharding of every array of a batch: rows over data and fsdp."""
  return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def batch_shards(mesh: Mesh) -> int:
  """Number of parts that the rows of a batch are cut into."""
  return math.prod(mesh.shape[axis] for axis in BATCH_AXES)


def local_rows(mesh: Mesh, batch_size: int) -> slice:
  """Rows of a global batch that this process needs: the first to the last.

  Where its devices take rows in turns with another process's, also those of
  the other that lie between.
  """
  indices = batch_sharding(mesh).addressable_devices_indices_map((batch_size,))
  spans = [index[0].indices(batch_size) for index in indices.values() if index]
  return slice(min(span[0] for span in spans), max(span[1] for span in spans))


def put_batch(
  batch: Mapping[str, np.ndarray], mesh: Mesh
) -> dict[str, jax.Array]:
  """Place a batch, of which this process gives its `local_rows`."""
  target = batch_sharding(mesh)
  if target.is_fully_addressable:
    return {
      name: jax.device_put(array, target) for name, array in batch.items()
    }
  shards = batch_shards(mesh)
  indices = target.addressable_devices_indices_map((shards,))
  spans = [index[0].indices(shards) for index in indices.values() if index]
  first, stop = min(spans)[0], max(spans)[1]

  def place(array: np.ndarray) -> jax.Array:
    rows = len(array) // (stop - first)
    cut = [(span[0] - first) * rows for span in spans]
    # To each device by itself: `make_array_from_process_local_data` does what
    # the loop's guard takes for an accident.
    parts = jax.device_put(
      [array[start : start + rows] for start in cut], list(indices)
    )
    return jax.make_array_from_single_device_arrays(
      (shards * rows, *array.shape[1:]), target, parts
    )

  return {name: place(array) for name, array in batch.items()}


def param_shardings(boxed: Any, mesh: Mesh) -> Any:
  """Shardings of abstract parameters that still carry their logical axes.

  Raises:
    ValueError: a mesh axis that does not divide what it is to cut.
  """
  specs = spmd.logical_to_mesh(nn.get_partition_spec(boxed), LOGICAL_AXES)
  shapes = nn.meta.unbox(boxed)
  jax.tree.map_with_path(
    lambda path, leaf, spec: _check_divides(path, leaf.shape, spec, mesh),
    shapes,
    specs,
  )
  return jax.tree.map(
    lambda spec: NamedSharding(mesh, spec),
    specs,
    is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
  )


def optimizer_shardings(
  abstract: Any, params: Any, shardings: Any, mesh: Mesh
) -> Any:
  """Shardings of an optimizer's state.

  A slot has the path of its parameter as the end of its own path, and its
  shape: that holds through any optax chain or mask. What has no parameter
  (counts, a trust ratio a layer) is replicated.
  """
  known = {
    jax.tree_util.keystr(path): (leaf.shape, sharding)
    for (path, leaf), sharding in zip(
      jax.tree.leaves_with_path(params), jax.tree.leaves(shardings), strict=True
    )
  }

  def find(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
    for start in range(len(path)):
      shape, sharding = known.get(
        jax.tree_util.keystr(path[start:]), (None, None)
      )
      if shape == leaf.shape and sharding is not None:
        return sharding
    return replicated(mesh)

  return jax.tree.map_with_path(find, abstract)


def _check_divides(
  path: tuple[Any, ...],
  shape: tuple[int, ...],
  spec: PartitionSpec,
  mesh: Mesh,
) -> None:
  for size, axes in zip(shape, spec, strict=False):
    names = (axes,) if isinstance(axes, str) else axes or ()
    parts = math.prod(mesh.shape[name] for name in names)
    if size % parts:
      name = leaf_name(path)
      raise ValueError(
        f"mesh.{'×'.join(names)}={parts} does not divide the {size} of "
        f"parameter {name} {shape}; give a divisor of {size}"
      )
