# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Dropout of attention weights by flash: first exactness, then time."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import steps
from benchmarks.on_gpu import attention, training
from benchmarks.on_gpu.attention import Way
from benchmarks.on_gpu.scale import Scale, Workload
from benchmarks.on_gpu.timing import median_seconds
from bertjax.config.model import given_rate
from bertjax.model.ops import dot_product, random_bits
from bertjax.model.ops.flash_attention import flash
from bertjax.model.ops.weight_draws import WeightDropout, draw_all, make_seeds

_RATE = 0.1
# Differences to the plain path, as a share of the largest value, that are no
# more than roundings: those of the kernel's tests.
_TOLERANCES = {"float32": 1e-5, "bfloat16": 2e-2}
# Of a window, where one is checked: some tiles are skipped.
_REACH = 40


def measure_dropout(scale: Scale) -> dict[str, Any]:
  """Return milliseconds in bfloat16, and the differences to the plain path.

  The plain path draws its bits by rbg, as the train steps do. Forward alone is
  timed, and forward and backward together. A kernel that is not the plain path
  under the same draws is not timed.
  """
  differences = find_differences(scale)
  if wrong := _refusal(differences):
    return {"error": wrong, **differences}
  draws, packs_BS = _inputs(scale)
  _, rows, length, heads, _ = draws.shape
  rows_B = jnp.arange(rows, dtype=jnp.uint32)
  key = jax.random.key(1, impl="rbg")

  def attend_plainly(*inputs: jax.Array) -> Any:
    bits = random_bits.draw(key, (rows, heads, length, length), rows_B)
    return dot_product.attend(*inputs, bits, given_rate(_RATE, "uint16"))

  ways = {
    "plain": Way("plain", attend_plainly),
    **{
      f"flash, {dtype}": Way("flash", _flash(rows, heads, dtype))
      for dtype in ("uint16", "uint8")
    },
  }
  found = {"length": length, **differences}
  for name, way in ways.items():
    forward, both = (
      functools.partial(jax.jit(each, static_argnums=0), way, draws, packs_BS)
      for each in (attention.context, attention.outputs)
    )
    found[name] = {
      "ms_forward": 1e3 * median_seconds(forward, scale.budget / 4),
      "ms_forward_and_backward": 1e3 * median_seconds(both, scale.budget / 4),
    }
  return found


def measure_step(
  workload: Workload, variant: training.Variant, scale: Scale
) -> Mapping[str, Any]:
  """Return what a train step with flash takes, if flash is exact here."""
  if wrong := _refusal(find_differences(scale)):
    return {"error": wrong}
  return training.measure_step(workload, variant, workload.rows, scale.budget)


@functools.cache
def find_differences(scale: Scale) -> dict[str, float]:
  """Return the largest difference to the plain path under the same draws.

  In the context and in all gradients, as a share of the largest value, with
  packs; in float32 also within a window. Products have the highest precision.
  """
  draws, packs_BS = _inputs(scale)
  _, rows, length, heads, _ = draws.shape
  places = np.arange(length)
  near_TS = jnp.asarray(np.abs(places[:, None] - places) <= _REACH)
  found = {}
  for dtype, reach in (("float32", _REACH), ("bfloat16", None)):
    seeds, near = _seeds(rows, heads), None if reach is None else near_TS
    plain: Any = lambda *inputs, seeds=seeds, near=near: dot_product.attend(
      *inputs,
      draw_all(seeds, inputs[0].shape[1]),
      given_rate(_RATE, "uint16"),
      near,
    )
    ours = _flash(rows, heads, "uint16", reach)
    with jax.default_matmul_precision("highest"):
      pairs = zip(
        *(
          jax.jit(attention.outputs, static_argnums=0)(
            Way("", attend, dtype), draws, packs_BS
          )
          for attend in (ours, plain)
        ),
        strict=True,
      )
    found[f"difference_{dtype}"] = max(
      attention.difference(one, other.astype(jnp.float32))
      for one, other in pairs
    )
  return found


def _refusal(differences: Mapping[str, float]) -> str:
  """Return why the kernel is not to be trusted, or ""."""
  for dtype, tolerance in _TOLERANCES.items():
    # Written so that a difference that is no number is refused as well.
    if not (found := differences[f"difference_{dtype}"]) <= tolerance:
      return (
        f"flash is not the plain path under the same draws: it differs by "
        f"{found:.1e} of the largest value in {dtype}, more than {tolerance:g}"
      )
  return ""


def _inputs(scale: Scale) -> tuple[jax.Array, jax.Array]:
  """Return query, key, value and gradient, stacked, and packs."""
  workload, length = scale.workloads[0], scale.lengths[0]
  rows = workload.rows
  heads, width = workload.model.num_heads, workload.model.head_size
  lengths = steps.mixed_rows(rows, length)
  packs_BS = jnp.asarray(steps.make_batch(128, length, lengths)["packs_BS"])
  shape = (4, rows, length, heads, width)
  return jax.random.normal(jax.random.key(length), shape), packs_BS


def _seeds(rows: int, heads: int) -> jax.Array:
  numbers_B = jnp.arange(rows, dtype=jnp.uint32)
  return make_seeds(jax.random.key(0), numbers_B, heads)


def _flash(rows: int, heads: int, dtype: str, reach: int | None = None) -> Any:
  """Return flash with dropout; without a GPU it runs in an interpreter."""
  rate = given_rate(_RATE, dtype)
  on_gpu = jax.devices()[0].platform == "gpu"
  return functools.partial(
    flash,
    dropout=WeightDropout(_seeds(rows, heads), rate, dtype),
    reach=None if reach is None else jnp.int32(reach),
    interpret=None if on_gpu else "gpu",
  )
