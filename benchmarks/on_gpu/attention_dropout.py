# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What dropout of attention weights costs: the plain path, and a kernel."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import steps
from benchmarks.on_gpu import dropout_kernel
from benchmarks.on_gpu.scale import Scale
from benchmarks.on_gpu.timing import median_seconds
from bertjax.config.model import given_rate
from bertjax.model.ops import dot_product, random_bits
from bertjax.model.ops.weight_draws import (
  GROUP,
  WeightDropout,
  draw_all,
  make_seeds,
)

_RATE = given_rate(0.1, "uint16")


def measure_dropout(scale: Scale) -> dict[str, Any]:
  """Return milliseconds of a forward pass in bfloat16, and the kernel's error.

  The plain path draws its bits by rbg, as the train steps do. The error is the
  largest difference to the plain path in float32 under the kernel's draws, as a
  share of the largest value. Without a GPU the kernel runs in an interpreter.
  """
  workload = scale.workloads[0]
  heads, width = workload.model.num_heads, workload.model.head_size
  # The kernel takes whole groups of keys.
  length = -(-scale.lengths[0] // GROUP) * GROUP
  rows = workload.rows
  packs_BS = jnp.asarray(
    steps.make_batch(128, length, steps.mixed_rows(rows, length))["packs_BS"]
  )
  exact = jax.random.normal(
    jax.random.key(length), (3, rows, length, heads, width)
  )
  exact = exact.at[0].multiply(width**-0.5)
  states = exact.astype(jnp.bfloat16)
  rows_B = jnp.arange(rows, dtype=jnp.uint32)
  seeds_BH2 = make_seeds(jax.random.key(0), rows_B, heads)
  interpret = jax.devices()[0].platform != "gpu"

  @jax.jit
  def plain(states: Any, packs_BS: jax.Array, key: jax.Array) -> Any:
    shape = (rows, heads, length, length)
    bits = random_bits.draw(key, shape, rows_B)
    return dot_product.attend(*states, packs_BS, bits, _RATE)

  @jax.jit
  def kernel(states: Any, packs_BS: jax.Array, seeds_BH2: jax.Array) -> Any:
    dropout = WeightDropout(seeds_BH2, _RATE)
    query, key, value = states
    return dropout_kernel.attend(
      query, key, value, packs_BS, dropout, interpret=interpret
    )

  with jax.default_matmul_precision("highest"):
    bits = draw_all(seeds_BH2, length)
    expected: Any = jax.jit(dot_product.attend, static_argnums=5)(
      *exact, packs_BS, bits, _RATE
    )
  context = kernel(states, packs_BS, seeds_BH2).astype(jnp.float32)
  difference = jnp.abs(context - expected)
  key = jax.random.key(1, impl="rbg")
  plainly = median_seconds(lambda: plain(states, packs_BS, key), scale.budget)
  inside = median_seconds(
    lambda: kernel(states, packs_BS, seeds_BH2), scale.budget
  )
  return {
    "length": length,
    "ms_plain": 1e3 * plainly,
    "ms_kernel": 1e3 * inside,
    "error_kernel": float(difference.max() / jnp.abs(expected).max()),
  }
