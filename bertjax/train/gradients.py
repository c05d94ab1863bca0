# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Gradients of a global batch, reduced once.

Along the mesh axis `data` every device differentiates its own rows, all their
micro-batches, and keeps the sum to itself; one reduction a batch then joins
the sums, however many layers and micro-batches there are. Along `fsdp` and
`tensor`, where parameters lie in pieces, the compiler decides.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint
from jax.sharding import Mesh, PartitionSpec

from bertjax.objectives import losses as objectives
from bertjax.parallel import sharding
from bertjax.parallel.mesh import DATA

# (parameters, prepared batch, weights of its losses, key of dropout) →
# ((total, metrics), gradients), which have the dtypes of the parameters.
Gradients = Callable[[Any, Any, Mapping[str, jax.Array], jax.Array], Any]


def make_gradients(
  losses: Callable[..., Any],
  coefficients: Mapping[str, float],
  mesh: Mesh,
  param_shardings: Any,
  *,
  compute_copy: Callable[[Any], Any],
  accumulation: int,
) -> Gradients:
  """Return the function that differentiates a global batch.

  Args:
    losses: see `step.LossFunction`.
    coefficients: of the losses that are differentiated.
    mesh: with an axis `data`.
    param_shardings: of the parameters. What lies in pieces along `data`
      (ZeRO-1) is gathered in the dtype of compute, its gradient scattered.
    compute_copy: parameters → what `losses` reads.
    accumulation: micro-batches.
  """
  axes = jax.tree.map(sharding.data_axis, param_shardings)
  apart = mesh.shape[DATA] > 1
  # XLA's CPU compiler dies of a bfloat16 reduction where only some axes of a
  # mesh are cut by hand.
  wide = mesh.devices.flat[0].platform == "cpu"

  def objective(
    params: Any, rows: Any, weights: Mapping[str, jax.Array], key: jax.Array
  ) -> Any:
    metrics = losses(params, rows, rng=key, deterministic=False)
    return objectives.weighted_total(metrics, weights, coefficients), metrics

  differentiate: Any = jax.value_and_grad(objective, has_aux=True)

  def local(
    params: Any,
    batch: Any,
    weights: Mapping[str, jax.Array],
    key: jax.Array,
    number: jax.Array,
  ) -> Any:
    copy = jax.tree.map(_gather, compute_copy(params), axes)
    values, grads = _accumulate(
      lambda rows, key: differentiate(copy, rows, weights, key),
      batch,
      _own(key, number[0]),
      accumulation,
    )
    if apart:
      values = jax.lax.psum(values, DATA)
      grads = jax.tree.map(
        functools.partial(_reduce, wide=wide), grads, copy, axes
      )
    return values, jax.tree.map(
      lambda grad, param: grad.astype(param.dtype), grads, params
    )

  if not apart:
    return lambda *given: local(*given, number=jnp.zeros((1,), jnp.uint32))
  return _by_hand(local, mesh, jax.tree.map(_along_data, axes))


def _by_hand(local: Callable[..., Any], mesh: Mesh, specs: Any) -> Gradients:
  """Have `local` see its part of the axis `data`, and whole arrays beyond."""
  rows, whole = PartitionSpec(DATA), PartitionSpec()
  # The number of each part travels like its rows.
  numbers = jnp.arange(mesh.shape[DATA], dtype=jnp.uint32)

  def reduced(*arguments: Any) -> Any:
    with nn.logical_axis_rules(sharding.rules_without(DATA)):
      return jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(specs, rows, whole, whole, rows),
        out_specs=(whole, specs),
        axis_names={DATA},
        check_vma=False,
      )(*arguments, numbers)

  return reduced


def _accumulate(
  differentiate: Callable[[Any, jax.Array], Any],
  batch: Any,
  key: jax.Array,
  parts: int,
) -> Any:
  """Sum of values and gradients over micro-batches."""
  if parts == 1:
    return differentiate(batch, key)
  micro = (
    jnp.arange(parts, dtype=jnp.uint32),
    jax.tree.map(lambda array: _split(array, parts), batch),
  )

  def of_part(part: Any) -> Any:
    index, rows = part
    return differentiate(rows, _own(key, index))

  def add(carry: Any, part: Any) -> tuple[Any, None]:
    return jax.tree.map(
      lambda a, b: a + b.astype(a.dtype), carry, of_part(part)
    ), None

  first = jax.tree.map(lambda leaf: leaf[0], micro)
  zeros = jax.tree.map(
    # Sums of many in bfloat16 would lose the later ones.
    lambda leaf: jnp.zeros(
      leaf.shape, jnp.promote_types(leaf.dtype, jnp.float32)
    ),
    jax.eval_shape(of_part, first),
  )
  return jax.lax.scan(add, zeros, micro)[0]


def _split(array: jax.Array, parts: int) -> jax.Array:
  """[B, ...] → [parts, B / parts, ...].

  Micro-batch i takes every parts-th row: each device then cuts the rows that
  it holds, and none travel.
  """
  rows, *rest = array.shape
  cut = array.reshape(rows // parts, parts, *rest).swapaxes(0, 1)
  axes = (None, "batch", *(None,) * len(rest))
  return with_logical_constraint(cut, axes)


def _own(key: jax.Array, number: jax.Array) -> jax.Array:
  """Key of one part of the batch.

  Threefry's draws are told apart by the number of their row, so that they
  are the same however the batch is cut; others draw as many as they must.
  """
  if str(jax.random.key_impl(key)) == "threefry2x32":
    return key
  return jax.random.fold_in(key, number)


def _gather(leaf: jax.Array, axis: int) -> jax.Array:
  if axis < 0:
    return leaf
  return jax.lax.all_gather(leaf, DATA, axis=axis, tiled=True)


def _reduce(
  grad: jax.Array, copy: jax.Array, axis: int, *, wide: bool
) -> jax.Array:
  """Join the sums of all devices, in the dtype of compute."""
  narrow = grad.astype(jnp.float32 if wide else copy.dtype)
  if axis < 0:
    return jax.lax.psum(narrow, DATA)
  return jax.lax.psum_scatter(narrow, DATA, scatter_dimension=axis, tiled=True)


def _along_data(axis: int) -> PartitionSpec:
  return PartitionSpec(*(None,) * axis, DATA) if axis >= 0 else PartitionSpec()
