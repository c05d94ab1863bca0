# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One table from logical axes to mesh axes, and the shardings it implies.

The model names logical axes and never imports this module. With ZeRO-1,
parameters and optimizer state are sharded along the mesh axis `data` as well.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
from flax.linen import spmd
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bertjax.model.parameters import leaf_name
from bertjax.parallel.mesh import BATCH_AXES, DATA

# ZeRO-1 replicates a parameter that is a smaller share of all parameters than
# this: biases and scales save no memory, and each small collective costs the
# time to start it.
_MIN_ZERO1_SHARE = 1e-3

# An entry of a PartitionSpec: no mesh axis, one, or several.
_Axes = str | tuple[str, ...] | None

# Earlier rows win where two axes of an array ask for the same mesh axis: an
# activation [batch, length, embed] gives `fsdp` to its batch, a kernel
# [embed, mlp] gives it to its embed.
LOGICAL_AXES: Sequence[tuple[str, _Axes]] = (
  ("batch", BATCH_AXES),
  ("vocab", "tensor"),
  ("heads", "tensor"),
  ("mlp", "tensor"),
  ("embed", "fsdp"),
  ("length", None),
  ("kv", None),
  ("layers", None),
)


@contextlib.contextmanager
def activate(mesh: Mesh) -> Iterator[None]:
  """Make logical constraints refer to `mesh` while a function is traced."""
  with (
    jax.sharding.use_abstract_mesh(mesh.abstract_mesh),
    nn.logical_axis_rules(LOGICAL_AXES),
  ):
    yield


def rules_without(axis: str) -> list[tuple[str, Any]]:
  """Return the table for code that is manual over the mesh axis `axis`."""

  def remaining(axes: _Axes) -> Any:
    return tuple(name for name in _axis_names(axes) if name != axis) or None

  return [(name, remaining(axes)) for name, axes in LOGICAL_AXES]


def replicated(mesh: Mesh) -> NamedSharding:
  """Return the sharding of an array that every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Return the sharding of every array of a batch: rows over data and fsdp."""
  return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def param_shardings(boxed: Any, mesh: Mesh, *, zero1: bool = False) -> Any:
  """Return the shardings of abstract parameters.

  Args:
    boxed: parameters, each boxed with the names of its logical axes.
    mesh: the mesh that they are sharded over.
    zero1: also shard each along `data`, where one of its axes can be and it
      is large enough to be worth a collective of its own.

  Raises:
    ValueError: a logical axis that the table lacks, two axes of a parameter
      on one mesh axis, or a mesh axis that does not divide a dimension.
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
    if zero1 and leaf.size >= total * _MIN_ZERO1_SHARE:
      spec = _shard_over_data(leaf.shape, spec, mesh)
    return NamedSharding(mesh, spec)

  return jax.tree.map_with_path(place, params, logical, specs)


def _shard_over_data(
  shape: tuple[int, ...], spec: PartitionSpec, mesh: Mesh
) -> PartitionSpec:
  """Shard the longest free axis along `data`; none if none divides.

  Short shards of the last axes would be padded to whole tiles of memory.
  """
  entries = [*spec, *(None,) * (len(shape) - len(spec))]
  free = [
    axis
    for axis, size in enumerate(shape)
    if _num_shards(entries[axis], mesh) == 1 and size % mesh.shape[DATA] == 0
  ]
  if not free or mesh.shape[DATA] == 1:
    return spec
  axis = max(free, key=lambda axis: shape[axis])
  return PartitionSpec(*entries[:axis], DATA, *entries[axis + 1 :])


def data_axis(sharding: NamedSharding) -> int:
  """Return which axis of an array is sharded along `data`; -1 if none is."""
  for axis, entry in enumerate(sharding.spec):
    if DATA in _axis_names(entry):
      return axis
  return -1


def replicated_share(params: Any) -> float:
  """Return the share of parameters, abstract or not, that are replicated."""
  leaves = jax.tree.leaves(params)
  whole = [leaf.size for leaf in leaves if leaf.sharding.is_fully_replicated]
  return sum(whole) / sum(leaf.size for leaf in leaves)


def optimizer_shardings(
  abstract: Any, params: Any, shardings: Any, mesh: Mesh
) -> Any:
  """Return the shardings of an abstract optimizer state.

  A moment of a parameter has that parameter's shape, and its path ends with
  the path of the parameter, through any optax chain or mask. Everything else
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


def _num_shards(entry: _Axes, mesh: Mesh) -> int:
  """Return how many shards an entry of a PartitionSpec cuts an axis into."""
  return math.prod(mesh.shape[name] for name in _axis_names(entry))


def _check_table(
  path: tuple[Any, ...], rank: int, names: PartitionSpec, spec: PartitionSpec
) -> None:
  """Check coverage and collisions, which linen ignores silently."""
  known = dict(LOGICAL_AXES)
  if len(names) != rank:
    raise ValueError(
      f"parameter {leaf_name(path)} has {rank} axes and the logical axes "
      f"{tuple(names)}; give each axis a name, or None"
    )
  unknown = [name for name in names if name is not None and name not in known]
  if unknown:
    raise ValueError(
      f"axis {unknown[0]!r} of parameter {leaf_name(path)} is not in the table "
      f"of logical axes; give one of {', '.join(known)}"
    )
  wanted = [axis for name in names for axis in _axis_names(known.get(name))]
  given = [axis for entry in spec for axis in _axis_names(entry)]
  if sorted(wanted) != sorted(given):
    raise ValueError(
      f"the logical axes {tuple(names)} of parameter {leaf_name(path)} map to "
      f"the mesh axes {', '.join(wanted)}, and one mesh axis cannot shard two "
      "axes of an array; give one of the two None"
    )


def _axis_names(entry: _Axes) -> tuple[str, ...]:
  return (entry,) if isinstance(entry, str) else entry or ()


def _check_divides(
  path: tuple[Any, ...], shape: tuple[int, ...], spec: PartitionSpec, mesh: Mesh
) -> None:
  for size, entry in zip(shape, spec, strict=False):
    num_shards = _num_shards(entry, mesh)
    if size % num_shards:
      raise ValueError(
        f"mesh.{'×'.join(_axis_names(entry))}={num_shards} does not divide the "
        f"dimension {size} of parameter {leaf_name(path)} {shape}; give a "
        f"divisor of {size}"
      )
