# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""All-gathers of parameters that ZeRO-1 shards along `data`.

A parameter is gathered before the loop over layers, or in it, a layer at a
time. In the loop the all-gather of a kernel overlaps the products with the
kernels before it. Its gradient is that of the gathered layer: the loop stacks
the gradients, and they are reduced once a batch (docs/design.md, law 4). A
reduction in the loop would be exposed (benchmarks/log.md).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from flax.core import meta

from bertjax.model.parameters import FIRST_KERNEL, PARAMETERS, leaf_name
from bertjax.parallel.mesh import DATA


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _gather_for(whole: jax.Array, shard: jax.Array, axis: int) -> jax.Array:
  """Return `shard`, gathered; the gradient is that of `whole`."""
  del whole
  return _gather(shard, axis)


def _gather_forward(
  whole: jax.Array, shard: jax.Array, axis: int
) -> tuple[jax.Array, None]:
  del whole
  return _gather(shard, axis), None


def _gather_backward(
  axis: int, saved: None, gradient: jax.Array
) -> tuple[jax.Array, None]:
  del axis, saved
  return gradient, None


_gather_for.defvjp(_gather_forward, _gather_backward)


class InLoop(struct.PyTreeNode, meta.AxisMetadata[jax.Array]):
  """A stacked kernel that each layer of the scan gathers when it reads it.

  The scan slices the arrays in a box, and a module unboxes what it reads.

  Attributes:
    whole: the place of the gathered kernel in the tree that is differentiated;
      its values are not read.
    shard: this device's shard.
    axis: axis of a layer's kernel that is sharded.
  """

  whole: jax.Array
  shard: jax.Array
  axis: int = struct.field(pytree_node=False)

  def unbox(self) -> jax.Array:
    """Return the gathered kernel of a layer."""
    return _gather_for(self.whole, self.shard, self.axis)

  def replace_boxed(self, val: Any) -> Any:
    """Return `val`: a new value is not sharded."""
    return val

  def add_axis(self, index: int, params: dict[Any, Any]) -> "InLoop":
    """Return the box: `axis` is that of a layer."""
    del index, params
    return self

  def remove_axis(self, index: int, params: dict[Any, Any]) -> "InLoop":
    """Return the box, whose scan over layers begins."""
    del index, params
    return self


def loop_axes(data_axes: Any, *, in_loop: bool) -> Any:
  """Return which axis of a parameter is gathered in the loop; -1 for none.

  The first kernel of a layer is not: no product comes before it that its
  all-gather could overlap.

  Args:
    data_axes: which axis of each parameter is sharded along `data`, or -1.
    in_loop: whether any parameter is gathered in the loop.
  """

  def choose(path: tuple[Any, ...], axis: int) -> int:
    name = leaf_name(path)
    row = PARAMETERS.get(name)
    stacked = row is not None and row.is_stacked and name != FIRST_KERNEL
    return axis if in_loop and stacked and axis > 0 else -1

  return jax.tree.map_with_path(choose, data_axes)


def gather(
  shards: Any, data_axes: Any, axes_in_loop: Any, num_shards: int
) -> Any:
  """Return the parameters to differentiate, each of its whole size.

  Args:
    shards: this device's shard of each parameter.
    data_axes: which axis of each is sharded, or -1.
    axes_in_loop: result of `loop_axes`.
    num_shards: size of the mesh axis `data`.

  Returns:
    The gathered parameters; zeros for those that the loop gathers.
  """

  def whole(shard: jax.Array, axis: int, axis_in_loop: int) -> jax.Array:
    if axis_in_loop < 0:
      return _gather(shard, axis)
    shape = list(shard.shape)
    shape[axis] *= num_shards
    return jnp.zeros(shape, shard.dtype)

  return jax.tree.map(whole, shards, data_axes, axes_in_loop)


def box(wholes: Any, shards: Any, axes_in_loop: Any) -> Any:
  """Return the parameters as the model reads them.

  Args:
    wholes: result of `gather`.
    shards: this device's shard of each parameter.
    axes_in_loop: result of `loop_axes`.
  """
  return jax.tree.map(
    lambda whole, shard, axis: (
      whole if axis < 0 else InLoop(whole, shard, axis - 1)
    ),
    wholes,
    shards,
    axes_in_loop,
  )


def _gather(shard: jax.Array, axis: int) -> jax.Array:
  if axis < 0:
    return shard
  return jax.lax.all_gather(shard, DATA, axis=axis, tiled=True)
