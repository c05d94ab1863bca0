# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention kernels against the plain path: errors, and seconds."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import steps
from benchmarks.on_gpu.scale import Scale
from benchmarks.on_gpu.timing import first_line, median_seconds
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.config.checks import kernels
from bertjax.model.ops import fused_attention
from bertjax.model.ops.dot_product import attend

# The one kernel without dropout of each platform; there is no other for GPUs,
# because splash and flash are kernels of TPUs.
_KERNELS = {"gpu": "cudnn", "tpu": "splash"}


def compare_kernels(scale: Scale) -> dict[str, Any]:
  """Return errors and seconds of the platform's kernel, for each length.

  Rows hold one to three packed examples; backward is the gradient of all three
  inputs. An error is the largest difference to the plain path in float32, as a
  share of the largest value; the plain path in bfloat16 has one, too. A kernel
  that does not take a length says why.
  """
  device = jax.devices()[0]
  name = _KERNELS.get(device.platform)
  platform = kernels.platform_of(device)
  workload = scale.workloads[0]
  heads, width = workload.model.num_heads, workload.model.head_size
  found: dict[str, Any] = {"kernel": name or "none on this platform"}
  for length in scale.lengths:
    lengths = steps.mixed_rows(workload.rows, length)
    packs_BS = jnp.asarray(steps.make_batch(128, length, lengths)["packs_BS"])
    draws = jax.random.normal(
      jax.random.key(length), (4, workload.rows, length, heads, width)
    )
    exact = _outputs("plain", draws, packs_BS)
    narrow = draws.astype(jnp.bfloat16)
    of_length = {"plain": _measure("plain", narrow, packs_BS, exact, scale)}
    if name:
      refused = refusal(name, workload.model, platform, length)
      of_length[name] = (
        {"refused": refused}
        if refused
        else _measure(name, narrow, packs_BS, exact, scale)
      )
    found[str(length)] = of_length
  return found


def refusal(name: str, model: ModelConfig, platform: str, length: int) -> str:
  """Return why a kernel does not take rows of a length, or "".

  Args:
    name: value of `compute.attention`.
    model: shape of the model; its dropout does not count.
    platform: of the device, by `kernels.platform_of`.
    length: positions of a row.
  """
  compute = dataclasses.replace(ComputeConfig(dtype="bfloat16"), attention=name)
  model = steps.without_dropout(model)
  try:
    kernels.choose_attention(compute, model, platform, length)
  except ValueError as error:
    return str(error)
  return ""


def _measure(
  kind: str, draws: Any, packs_BS: Any, exact: Any, scale: Scale
) -> dict[str, Any]:
  try:
    outputs = _outputs(kind, draws, packs_BS)
  except Exception as error:  # any kernel's compiler has errors of its own
    return {"error": first_line(error)}
  names = ("forward", "query", "key", "value")
  errors = {
    f"error_{name}": _error(ours, theirs)
    for name, ours, theirs in zip(names, outputs, exact, strict=True)
  }
  run = jax.jit(lambda d: _outputs(kind, d, packs_BS))
  seconds = median_seconds(lambda: run(draws), scale.budget)
  return {"ms_forward_and_backward": 1e3 * seconds, **errors}


def _outputs(kind: str, draws: Any, packs_BS: Any) -> tuple[jax.Array, ...]:
  query, key, value, cotangent = draws
  query = query * query.shape[-1] ** -0.5

  def forward(query: Any, key: Any, value: Any) -> jax.Array:
    if kind == "plain":
      return attend(query, key, value, packs_BS, None, 0.0)
    kernel = fused_attention.KERNELS[kind]
    return kernel(query, key, value, packs_BS)

  context, backward = jax.vjp(forward, query, key, value)
  return (context, *backward(cotangent))


def _error(ours: jax.Array, exact: jax.Array) -> float:
  difference = jnp.abs(ours.astype(jnp.float32) - exact)
  return float(difference.max() / jnp.abs(exact).max())
