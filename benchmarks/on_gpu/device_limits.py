# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The floor under every figure: the card's products and copies, measured."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks.on_gpu.scale import Scale
from benchmarks.on_gpu.timing import median_seconds
from bertjax import optim
from bertjax.config import OptimizerConfig
from bertjax.model import BertForPreTraining
from bertjax.objectives import pretraining
from bertjax.train.peaks import peak_flops


def measure_limits(scale: Scale) -> dict[str, Any]:
  """Return TFLOP/s of products and GB/s of a copy, read and write counted."""
  found: dict[str, Any] = {
    "peak_bf16_tflops": (peak_flops(jax.devices()[0].device_kind) or 0) / 1e12
  }
  size = scale.matrix
  for dtype in ("bfloat16", "float32"):
    left = jax.random.normal(jax.random.key(0), (size, size), dtype)
    product = jax.jit(jnp.matmul)
    seconds = median_seconds(lambda p=product, x=left: p(x, x), scale.budget)
    found[f"matmul_{dtype}_tflops"] = 2 * size**3 / seconds / 1e12
  array = jnp.zeros((scale.copied // 4,), jnp.float32)
  copy = jax.jit(lambda x: x + 1)
  seconds = median_seconds(lambda: copy(array), scale.budget)
  found["copy_gbytes_per_s"] = 2 * scale.copied / seconds / 1e9
  return found


def measure_optimizers(scale: Scale) -> dict[str, Any]:
  """Return seconds and GB/s of an update, for each optimizer.

  The bytes are those that an update has to move: it reads gradients, parameters
  and state, and writes parameters and state.
  """
  workload = scale.workloads[0]
  model = BertForPreTraining(workload.model)
  params = nn.meta.unbox(
    pretraining.init_params(model, workload.seq_length, jax.random.key(0))
  )
  found: dict[str, Any] = {}
  for name in ("adamw", "lamb", "muon"):
    settings = OptimizerConfig(name=name, warmup_steps=0)
    made = optim.make_optimizer(settings, optim.make_schedule(settings, 1000))
    grads = jax.tree.map(lambda leaf: 1e-3 * jnp.ones_like(leaf), params)
    run, moved = _make_update(made, params, grads)
    seconds = median_seconds(run, scale.budget)
    found[name] = {
      "ms": 1e3 * seconds,
      "gbytes_per_s": moved / seconds / 1e9,
    }
  return found


def _make_update(
  optimizer: Any, params: Any, grads: Any
) -> tuple[Callable[[], Any], int]:
  """Return a function that updates a copy of `params`, and the bytes moved."""

  def update(held: Any) -> Any:
    params, opt_state = held
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return jax.tree.map(jnp.add, params, updates), opt_state

  jitted = jax.jit(update, donate_argnums=0)
  opt_state = jax.jit(optimizer.init)(params)
  moved = _nbytes(grads) + 2 * _nbytes((params, opt_state))
  held = jax.tree.map(jnp.copy, (params, opt_state))

  def run() -> Any:
    nonlocal held
    held = jitted(held)
    return held

  return run, moved


def _nbytes(tree: Any) -> int:
  return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
