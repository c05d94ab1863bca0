# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The floor under every figure: the card's products and copies, measured."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import updates
from benchmarks.on_gpu.scale import Scale
from benchmarks.on_gpu.timing import median_seconds
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
  """Return milliseconds and GB/s of an update, for each optimizer."""
  workload = scale.workloads[0]
  params = updates.init_params(workload.model, workload.seq_length)
  found: dict[str, Any] = {}
  for name in ("adamw", "lamb", "muon"):
    run, moved = updates.make_update(name, params)
    seconds = median_seconds(run, scale.budget)
    found[name] = {
      "ms": 1e3 * seconds,
      "gbytes_per_s": moved / seconds / 1e9,
    }
  return found
