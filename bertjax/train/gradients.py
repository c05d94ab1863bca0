# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Gradients of a global batch, reduced once.

Along the mesh axis `data`, each device differentiates its own rows, one
micro-batch after the other, and sums their gradients locally. One reduction a
batch then joins the sums of all devices, however many layers and
micro-batches there are. Along `fsdp` and `tensor`, which shard parameters, the
compiler places the collectives.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint
from jax.sharding import Mesh, PartitionSpec

from bertjax.objectives.losses import weighted_total
from bertjax.objectives.metrics import Metrics
from bertjax.objectives.task import Features, Task, identity
from bertjax.parallel import sharding
from bertjax.parallel.mesh import DATA
from bertjax.train import gathering


class LossGradients(NamedTuple):
  """The loss, the metrics and the gradients of some rows.

  Attributes:
    total: Σₖ coefficientₖ · sumₖ / Wₖ(global), a float32 scalar.
    metrics: {name: (sum, weight)}.
    grads: the gradient of `total`, a tree like the parameters.
  """

  total: jax.Array
  metrics: Metrics
  grads: Any


# (parameters, prepared global batch, {name of a loss: its weight over that
# batch}, key of dropout, uint32 seed that is folded into the key or None) →
# the gradients in the dtypes of the parameters.
GradientFunction = Callable[
  [Any, Any, Mapping[str, jax.Array], jax.Array, jax.Array | None],
  LossGradients,
]


def prepare(task: Task, batch: Features, accumulation: int) -> Features:
  """Return the whole prepared batch, made one micro-batch at a time.

  Preparing (masking) reads nothing but the row itself, and its memory is then
  that of a micro-batch. The weights of the losses need the result for the whole
  batch (docs/design.md, law 4).
  """
  if accumulation == 1 or task.prepare is identity:
    return task.prepare(batch)
  micro = jax.tree.map(lambda array: _split(array, accumulation), batch)
  return jax.tree.map(_join, jax.lax.map(task.prepare, micro))


def make_gradients(
  task: Task,
  mesh: Mesh,
  param_shardings: Any,
  *,
  accumulation: int,
  in_float32: bool = False,
  gather_in_loop: bool = False,
) -> GradientFunction:
  """Return the function that differentiates a global batch.

  Args:
    task: losses, their coefficients, and the compute copy of the parameters.
    mesh: with an axis `data`.
    param_shardings: shardings of the parameters. Those along `data` (ZeRO-1)
      are gathered in the dtype of compute, and their gradients are scattered.
    accumulation: number of micro-batches.
    in_float32: whether gradients are reduced in float32 in any case.
    gather_in_loop: whether kernels of layers are all-gathered in the loop over
      layers. With several micro-batches they are gathered once, before it.
  """
  data_axes = jax.tree.map(sharding.data_axis, param_shardings)
  data_parallel = mesh.shape[DATA] > 1
  # XLA's CPU compiler crashes on a bfloat16 reduction under a shard_map that
  # is manual over some of the mesh axes only.
  in_float32 |= mesh.devices.flat[0].platform == "cpu"

  to_compute = identity if _is_one_cpu(mesh) else task.compute_copy
  in_loop = gather_in_loop and accumulation == 1
  axes_in_loop = gathering.loop_axes(data_axes, in_loop=in_loop)
  grad_fn = _make_grad_fn(task, axes_in_loop)

  def per_shard(
    params: Any,
    batch: Any,
    weights: Mapping[str, jax.Array],
    key: jax.Array,
    seed: jax.Array | None,
    shard: jax.Array,
  ) -> LossGradients:
    shards = to_compute(params)
    wholes = gathering.gather(shards, data_axes, axes_in_loop, mesh.shape[DATA])

    def micro_grads(rows: Any, key: jax.Array) -> LossGradients:
      values, grads = grad_fn(wholes, shards, rows, weights, key, seed)
      return LossGradients(*values, grads)

    found = _accumulate(
      micro_grads, batch, _fold_in_shard(key, shard[0]), accumulation
    )
    if data_parallel:
      found = _reduce_all(found, wholes, data_axes, in_float32=in_float32)
    cast = lambda grad, param: grad.astype(param.dtype)
    return found._replace(grads=jax.tree.map(cast, found.grads, params))

  if data_parallel:
    return _manual_over_data(per_shard, mesh, jax.tree.map(_spec, data_axes))
  return lambda params, batch, weights, key, seed: per_shard(
    params, batch, weights, key, seed, jnp.zeros((1,), jnp.uint32)
  )


def _is_one_cpu(mesh: Mesh) -> bool:
  """Whether all is on one CPU, which exchanges nothing.

  A narrow copy of the parameters would then only cost time: the gradients of
  the layers, which a scan stacks, would be as narrow, and XLA's CPU compiler
  writes one row of a bfloat16 stack by converting all of it to float32 and
  back.
  """
  return mesh.devices.size == 1 and mesh.devices.flat[0].platform == "cpu"


def _make_grad_fn(
  task: Task, axes_in_loop: Any
) -> Callable[..., tuple[tuple[jax.Array, Metrics], Any]]:
  """Return the function that differentiates the total loss of some rows."""

  def total_loss(
    wholes: Any,
    shards: Any,
    rows: Any,
    weights: Mapping[str, jax.Array],
    key: jax.Array,
    seed: jax.Array | None,
  ) -> tuple[jax.Array, Metrics]:
    if seed is not None:
      key = jax.random.fold_in(key, seed)
    params = gathering.box(wholes, shards, axes_in_loop)
    metrics = task.losses(params, rows, rng=key, deterministic=False)
    return weighted_total(metrics, weights, task.coefficients), metrics

  return jax.value_and_grad(total_loss, has_aux=True)


def _manual_over_data(
  per_shard: Callable[..., LossGradients], mesh: Mesh, specs: Any
) -> GradientFunction:
  """Run `per_shard` under shard_map.

  Manual over the axis `data`, automatic over `fsdp` and `tensor`.
  """
  rows, replicated = PartitionSpec(DATA), PartitionSpec()
  outputs: Any = (replicated, replicated, specs)
  # Sharded like the rows, so that each shard receives its own number.
  shards = jnp.arange(mesh.shape[DATA], dtype=jnp.uint32)

  def global_grads(
    params: Any,
    batch: Any,
    weights: Mapping[str, jax.Array],
    key: jax.Array,
    seed: jax.Array | None,
  ) -> LossGradients:
    with nn.logical_axis_rules(sharding.rules_without(DATA)):
      return jax.shard_map(
        per_shard,
        mesh=mesh,
        in_specs=(specs, rows, replicated, replicated, replicated, rows),
        out_specs=LossGradients(*outputs),
        axis_names={DATA},
        check_vma=False,
      )(params, batch, weights, key, seed, shards)

  return global_grads


def _accumulate(
  micro_grads: Callable[[Any, jax.Array], LossGradients],
  batch: Any,
  key: jax.Array,
  num_micro_batches: int,
) -> LossGradients:
  """Sum the losses, metrics and gradients of all micro-batches."""
  if num_micro_batches == 1:
    return micro_grads(batch, key)
  numbered = (
    jnp.arange(num_micro_batches, dtype=jnp.uint32),
    jax.tree.map(lambda array: _split(array, num_micro_batches), batch),
  )

  def differentiate(micro_batch: Any) -> LossGradients:
    index, rows = micro_batch
    return micro_grads(rows, _fold_in_shard(key, index))

  def add(carry: LossGradients, micro_batch: Any) -> tuple[LossGradients, None]:
    return jax.tree.map(
      lambda a, b: a + b.astype(a.dtype), carry, differentiate(micro_batch)
    ), None

  first = jax.tree.map(lambda leaf: leaf[0], numbered)
  zeros = jax.tree.map(
    # A long sum in bfloat16 would lose its later terms.
    lambda leaf: jnp.zeros(
      leaf.shape, jnp.promote_types(leaf.dtype, jnp.float32)
    ),
    jax.eval_shape(differentiate, first),
  )
  return jax.lax.scan(add, zeros, numbered)[0]


def _split(array: jax.Array, num_micro_batches: int) -> jax.Array:
  """[B, ...] → [N, B / N, ...] for N micro-batches.

  Micro-batch i takes every N-th row, so that each device splits the rows that
  it holds and no row moves between devices.
  """
  rows, *rest = array.shape
  micro = array.reshape(
    rows // num_micro_batches, num_micro_batches, *rest
  ).swapaxes(0, 1)
  return with_logical_constraint(micro, (None, "batch", *(None,) * len(rest)))


def _join(micro: jax.Array) -> jax.Array:
  """[N, B / N, ...] → [B, ...], the inverse of `_split`."""
  parts, rows, *rest = micro.shape
  array = micro.swapaxes(0, 1).reshape(parts * rows, *rest)
  return with_logical_constraint(array, ("batch", *(None,) * len(rest)))


def _fold_in_shard(key: jax.Array, number: jax.Array) -> jax.Array:
  """Return the key of one shard or micro-batch.

  Dropout with threefry numbers its draws by the row in the global batch, and
  is thus the same however the batch is cut: its key stays. Another generator
  would draw the same bits for every shard.
  """
  if str(jax.random.key_impl(key)) == "threefry2x32":
    return key
  return jax.random.fold_in(key, number)


def _reduce_all(
  local: LossGradients, wholes: Any, data_axes: Any, *, in_float32: bool
) -> LossGradients:
  """Sum the losses, metrics and gradients of all devices."""
  total, metrics = jax.lax.psum((local.total, local.metrics), DATA)
  reduce = functools.partial(_reduce, in_float32=in_float32)
  grads = jax.tree.map(reduce, local.grads, wholes, data_axes)
  return LossGradients(total, metrics, grads)


def _reduce(
  grad: jax.Array, param: jax.Array, axis: int, *, in_float32: bool
) -> jax.Array:
  """Sum a gradient over all devices, in float32 or the dtype of compute."""
  narrow = grad.astype(jnp.float32 if in_float32 else param.dtype)
  if axis < 0:
    return jax.lax.psum(narrow, DATA)
  return jax.lax.psum_scatter(narrow, DATA, scatter_dimension=axis, tiled=True)


def _spec(axis: int) -> PartitionSpec:
  return PartitionSpec(*(None,) * axis, DATA) if axis >= 0 else PartitionSpec()
