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
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bertjax.config import MeshConfig, checks
from bertjax.model.parameters import leaf_name

DATA = "data"
MESH_AXES = (DATA, "fsdp", "tensor")
BATCH_AXES = (DATA, "fsdp")

# Share of all parameters under which ZeRO-1 leaves one whole. Biases and scales
# save nothing, and many small collectives cost the time of starting each.
_WORTH_CUTTING = 1e-3

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

  Neighbours on the mesh are neighbours on the network. Of several slices,
  only `data` crosses from one to the next.

  Raises:
    ValueError: the axes do not multiply to the number of devices, or do not
      fit into slices.
  """
  devices = list(jax.devices() if devices is None else devices)
  data, fsdp, tensor = checks.mesh_shape(config, len(devices))
  by_slice: dict[int, list[Any]] = {}
  for device in devices:
    by_slice.setdefault(getattr(device, "slice_index", 0), []).append(device)
  slices = checks.mesh_slices(config, data, len(by_slice))
  inner = (data // slices, fsdp, tensor)
  if slices > 1 and len(by_slice) > 1:
    array = mesh_utils.create_hybrid_device_mesh(
      inner, (slices, 1, 1), devices, allow_split_physical_axes=True
    )
  else:
    # Groups that stand in for slices are as the devices are counted.
    array = np.concatenate(
      [
        mesh_utils.create_device_mesh(
          inner, list(group), allow_split_physical_axes=True
        )
        for group in np.split(np.array(devices), slices)
      ]
    )
  # Auto: the compiler places what the table leaves open.
  return Mesh(array, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))


@contextlib.contextmanager
def activate(mesh: Mesh) -> Iterator[None]:
  """Give logical constraints their meaning while a function is traced."""
  with (
    jax.sharding.use_abstract_mesh(mesh.abstract_mesh),
    nn.logical_axis_rules(LOGICAL_AXES),
  ):
    yield


def rules_without(axis: str) -> list[tuple[str, Any]]:
  """Return the table for where mesh axis `axis` is cut by hand."""

  def left(axes: str | tuple[str, ...] | None) -> Any:
    return tuple(name for name in _named(axes) if name != axis) or None

  return [(name, left(axes)) for name, axes in LOGICAL_AXES]


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


def param_shardings(boxed: Any, mesh: Mesh, *, zero1: bool = False) -> Any:
  """Shardings of abstract parameters that still carry their logical axes.

  With `zero1` each is cut along `data` too, where one of its axes allows and
  it is not too small to be worth a gather and a reduction of its own.

  Raises:
    ValueError: a name that the table does not have, two axes of a parameter
      on one mesh axis, or a mesh axis that does not divide what it is to cut.
  """
  logical = nn.get_partition_spec(boxed)
  specs = spmd.logical_to_mesh(logical, LOGICAL_AXES)
  params = nn.meta.unbox(boxed)
  total = sum(leaf.size for leaf in jax.tree.leaves(params))

  def place(
    path: tuple[Any, ...], leaf: Any, names: PartitionSpec, spec: PartitionSpec
  ) -> Any:
    _check_table(path, len(leaf.shape), names, spec)
    _check_divides(path, leaf.shape, spec, mesh)
    if zero1 and leaf.size >= total * _WORTH_CUTTING:
      spec = _along_data(leaf.shape, spec, mesh)
    return NamedSharding(mesh, spec)

  return jax.tree.map_with_path(place, params, logical, specs)


def _along_data(
  shape: tuple[int, ...], spec: PartitionSpec, mesh: Mesh
) -> PartitionSpec:
  """Cut the axis along `data` whose pieces stay the longest; none if none can.

  Short pieces of the last axes would be padded to whole tiles of memory.
  """
  parts = [*spec, *(None,) * (len(shape) - len(spec))]
  free = [
    axis
    for axis, size in enumerate(shape)
    if _cut(parts[axis], mesh) == 1 and size % mesh.shape[DATA] == 0
  ]
  if not free or mesh.shape[DATA] == 1:
    return spec
  axis = max(free, key=lambda axis: shape[axis])
  return PartitionSpec(*parts[:axis], DATA, *parts[axis + 1 :])


def data_axis(place: NamedSharding) -> int:
  """Return which axis of an array is cut along `data`; -1 if none is."""
  for axis, names in enumerate(place.spec):
    if DATA in _named(names):
      return axis
  return -1


def whole_share(params: Any) -> float:
  """Return the share of parameters, abstract or not, that no device cuts."""
  leaves = jax.tree.leaves(params)
  whole = [leaf.size for leaf in leaves if leaf.sharding.is_fully_replicated]
  return sum(whole) / sum(leaf.size for leaf in leaves)


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


def _cut(axes: Any, mesh: Mesh) -> int:
  """Pieces that an axis is cut into by what its entry of a spec names."""
  return math.prod(mesh.shape[name] for name in _named(axes))


def _check_table(
  path: tuple[Any, ...], rank: int, names: PartitionSpec, spec: PartitionSpec
) -> None:
  """Coverage and collision: linen passes over both without a word."""
  known = dict(LOGICAL_AXES)
  if len(names) != rank:
    raise ValueError(
      f"parameter {leaf_name(path)} has {rank} axes and the names "
      f"{tuple(names)}; give each axis a name, or None"
    )
  unknown = [name for name in names if name is not None and name not in known]
  if unknown:
    raise ValueError(
      f"axis {unknown[0]!r} of parameter {leaf_name(path)} is not in the table "
      f"of logical axes; it has {', '.join(known)}"
    )
  wanted = [axis for name in names for axis in _named(known.get(name))]
  given = [axis for entry in spec for axis in _named(entry)]
  if sorted(wanted) != sorted(given):
    raise ValueError(
      f"axes {tuple(names)} of parameter {leaf_name(path)} ask for the mesh "
      f"axes {', '.join(wanted)}, and one cannot cut two of them; give one of "
      "them no name"
    )


def _named(entry: str | tuple[str, ...] | None) -> tuple[str, ...]:
  return (entry,) if isinstance(entry, str) else entry or ()


def _check_divides(
  path: tuple[Any, ...],
  shape: tuple[int, ...],
  spec: PartitionSpec,
  mesh: Mesh,
) -> None:
  for size, axes in zip(shape, spec, strict=False):
    parts = _cut(axes, mesh)
    if size % parts:
      name = leaf_name(path)
      raise ValueError(
        f"mesh.{'×'.join(_named(axes))}={parts} does not divide the {size} of "
        f"parameter {name} {shape}; give a divisor of {size}"
      )
