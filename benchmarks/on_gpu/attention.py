# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention kernels against the plain path: errors, and seconds."""

import dataclasses
import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import steps
from benchmarks.on_gpu import queries_first
from benchmarks.on_gpu.scale import Scale
from benchmarks.on_gpu.timing import first_line, median_seconds
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.config.checks import kernels
from bertjax.model.ops import dot_product
from bertjax.model.ops.flash_attention import flash
from bertjax.model.ops.fused_attention import KERNELS

# The kernels without dropout of each platform that attend inside packs.
_KERNELS = {"gpu": ("cudnn", "triton", "flash"), "tpu": ("splash", "flash")}
# Those that `compute.attention` names.
_OF_MODEL = {**KERNELS, "flash": flash}
# JAX's counterpart of splash for GPUs. No value of `compute.attention`: nobody
# has run it here, and a card decides whether it becomes one.
_TRITON = "jax.experimental.pallas.ops.gpu.attention"
# Float32 and the other order of pairs are measured on so many lengths.
_LENGTHS_OF_ALL = 2
# A call takes about a millisecond: the seconds of a step would be too many.
_SHARE = 1 / 8


class Way(NamedTuple):
  """How attention is computed.

  Attributes:
    name: what the results call it.
    attend: query, key, value, packs → context.
    dtype: of the states.
  """

  name: str
  attend: Callable[..., jax.Array]
  dtype: str = "bfloat16"


def compare_kernels(scale: Scale) -> dict[str, Any]:
  """Return errors and seconds of each way to attend, for each length.

  Rows hold one to three packed examples. Forward alone is timed, and forward
  and backward together, which gives the gradients of all three inputs. An error
  is the largest difference to the plain path in float32 at the highest
  precision of products, as a share of the largest value; the plain path has
  one, too. A kernel that does not take a length says why.
  """
  workload = scale.workloads[0]
  heads, width = workload.model.num_heads, workload.model.head_size
  found: dict[str, Any] = {"kernels": describe_kernels()}
  for number, length in enumerate(scale.lengths):
    lengths = steps.mixed_rows(workload.rows, length)
    packs_BS = jnp.asarray(steps.make_batch(128, length, lengths)["packs_BS"])
    draws = jax.random.normal(
      jax.random.key(length), (4, workload.rows, length, heads, width)
    )
    with jax.default_matmul_precision("highest"):
      exact = jax.jit(outputs, static_argnums=0)(_EXACT, draws, packs_BS)
    found[str(length)] = {
      way.name: _measure(
        way, workload.model, draws, packs_BS, exact, scale.budget * _SHARE
      )
      for way in _ways(everything=number < _LENGTHS_OF_ALL)
    }
  return found


def describe_kernels() -> str:
  """Return a line on the kernels that this JAX has for this platform."""
  platform = jax.devices()[0].platform
  if platform == "tpu":
    return "splash and flash, beside the plain path"
  if platform != "gpu":
    return f"none for {platform}: the plain path alone"
  here = f"jax {jax.__version__}"
  line = "cudnn and flash, beside the plain path; splash is for TPUs, and "
  line += f"{here} has "
  if triton() is None:
    return f"{line}no counterpart for GPUs"
  return f"{line}{_TRITON} for GPUs, here triton"


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


def outputs(way: Way, draws: Any, packs_BS: Any) -> tuple[jax.Array, ...]:
  """Return the context, and the gradients of query, key and value.

  Args:
    way: what attends.
    draws: query, key, value, and the gradient of the context.
    packs_BS: number of the packed example of each position.
  """
  *states, gradient = _scaled(draws.astype(way.dtype))
  context, backward = jax.vjp(lambda *qkv: way.attend(*qkv, packs_BS), *states)
  return (context, *backward(gradient))


def context(way: Way, draws: Any, packs_BS: Any) -> jax.Array:
  """Return the context of query, key and value; see `outputs`."""
  return way.attend(*_scaled(draws.astype(way.dtype))[:3], packs_BS)


def _scaled(draws: Any) -> tuple[jax.Array, ...]:
  query, *others = draws
  return (query * query.shape[-1] ** -0.5, *others)


def _plain(*inputs: jax.Array) -> jax.Array:
  return dot_product.attend(*inputs, None, 0.0)


def _other_order(*inputs: jax.Array) -> jax.Array:
  return queries_first.attend(*inputs, None, 0.0)


_EXACT = Way("plain, float32", _plain, "float32")


def _ways(*, everything: bool) -> list[Way]:
  """Return what attends on this platform, the plain path first."""
  ways = [Way("plain", _plain)]
  for name in _KERNELS.get(jax.devices()[0].platform, ()):
    kernel = triton() if name == "triton" else _OF_MODEL[name]
    if kernel is not None:
      ways.append(Way(name, kernel))
  if everything:
    ways += [Way("plain, queries × keys", _other_order), _EXACT]
  return ways


def triton() -> Callable[..., jax.Array] | None:
  """Return JAX's Triton kernel with packs, or None in a JAX without it."""
  try:
    with warnings.catch_warnings():
      # JAX 0.12 still has it, and points to the package tokamax.
      warnings.simplefilter("ignore", DeprecationWarning)
      return importlib.import_module(_TRITON).mha
  except (ImportError, AttributeError):
    return None


def _measure(
  way: Way,
  model: ModelConfig,
  draws: Any,
  packs_BS: Any,
  exact: Any,
  budget: float,
) -> dict[str, Any]:
  if way.name in _OF_MODEL:
    platform = kernels.platform_of(jax.devices()[0])
    if refused := refusal(way.name, model, platform, packs_BS.shape[1]):
      return {"refused": refused}
  inputs = (draws.astype(way.dtype), packs_BS)
  forward, both = (
    functools.partial(jax.jit(each, static_argnums=0), way, *inputs)
    for each in (context, outputs)
  )
  try:
    ours = both()
    seconds = median_seconds(forward, budget), median_seconds(both, budget)
  except Exception as error:  # any kernel's compiler has errors of its own
    return {"error": first_line(error)}
  names = ("forward", "query", "key", "value")
  return {
    "ms_forward": 1e3 * seconds[0],
    "ms_forward_and_backward": 1e3 * seconds[1],
    **{
      f"error_{name}": difference(one, other)
      for name, one, other in zip(names, ours, exact, strict=True)
    },
  }


def difference(ours: jax.Array, exact: jax.Array) -> float:
  """Return the largest difference, as a share of the largest exact value."""
  apart = jnp.abs(ours.astype(jnp.float32) - exact)
  return float(apart.max() / jnp.abs(exact).max())
