# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compile Triton's kernels of attention for GPUs that are not there.

    python -m benchmarks.on_gpu.ahead_of_time

Prints the shared memory and the instructions of PTX of each kernel, for one
head size and two compute capabilities: those of `dropout_kernel` and of JAX's
own kernel without dropout. No time is measured. Needs no GPU, but JAX's CUDA
plugin: pip install 'bertjax[cuda]' jax==0.10.2
"""

import collections
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple

# The kernels are lowered for another platform than the one here.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from absl import app
from jaxlib import xla_client
from jaxlib.mlir import ir

from benchmarks.on_gpu import attention, dropout_kernel
from benchmarks.on_gpu.timing import first_line
from bertjax.model.ops.weight_draws import WeightDropout

_JAX = "0.10.2"
_CAPABILITIES = ("8.0", "9.0")
_PLUGIN = "jax_cuda13_plugin.cuda_plugin_extension"
_LIBRARY = "xla_cuda_plugin.so"
_STATES = jax.ShapeDtypeStruct((32, 512, 16, 64), jnp.bfloat16)  # BSHK
_PACKS = jax.ShapeDtypeStruct((32, 512), jnp.int32)
_SEEDS = jax.ShapeDtypeStruct((32, 16, 2), jnp.uint32)
# What draws are made of: PTX's operations on 32-bit integers. Addresses take
# some as well.
_INTEGER = re.compile(r"(add|sub|mad|shf|shl|shr|and|or|xor|lop3)\..*[bsu]32")
_OPERATION = re.compile(r"^\s+(?:@%\w+ )?([a-z]\w*(?:\.\w+)*)", re.MULTILINE)


class Kernel(NamedTuple):
  """A kernel in Triton's language.

  Attributes:
    name: of the kernel.
    code: its module.
    warps: that work on a tile.
    stages: of its pipeline.
  """

  name: str
  code: bytes
  warps: int
  stages: int


def lower() -> Iterator[Kernel]:
  """Yield the kernels that drop weights, and those of JAX that do not."""

  def drop(query: Any, key: Any, value: Any, packs: Any, seeds: Any) -> Any:
    dropout = WeightDropout(seeds, 0.1)
    return dropout_kernel.attend(query, key, value, packs, dropout)

  yield from _find(
    jax.jit(drop).trace(_STATES, _STATES, _STATES, _PACKS, _SEEDS)
  )
  if kernel := attention.triton():
    draws = jax.ShapeDtypeStruct((4, *_STATES.shape), _STATES.dtype)
    way = attention.Way("triton", kernel)
    yield from _find(
      jax.jit(attention.outputs, static_argnums=0).trace(way, draws, _PACKS)
    )


def _find(traced: Any) -> Iterator[Kernel]:
  lowered = traced.lower(lowering_platforms=("cuda",))
  module: Any = lowered.compiler_ir("stablehlo")
  for operation in _walk(module.operation):
    name = "call_target_name"
    attributes = operation.attributes
    if name in attributes and "triton" in str(attributes[name]):
      config = attributes["mhlo.backend_config"]
      yield Kernel(
        ir.StringAttr(config["name"]).value,
        ir.StringAttr(config["ir"]).value_bytes,
        ir.IntegerAttr(config["num_warps"]).value,
        ir.IntegerAttr(config["num_stages"]).value,
      )


def _walk(operation: Any) -> Iterator[Any]:
  for region in operation.regions:
    for block in region:
      for each in block:
        yield each.operation
        yield from _walk(each.operation)


def describe(ptx: str) -> str:
  """Return a line on the instructions of a program."""
  counts = collections.Counter(_OPERATION.findall(ptx))
  integer = sum(counts[name] for name in counts if _INTEGER.fullmatch(name))
  products = sum(counts[name] for name in counts if "mma" in name)
  return (
    f"{sum(counts.values())} instructions, of which {integer} on 32-bit "
    f"integers and {products} products"
  )


def main(_: list[str]) -> None:
  """Print a line for each kernel and compute capability."""
  if (found := metadata.version("jax")) != _JAX:
    sys.exit(
      f"error: jax {found} is installed, and others than {_JAX} lower kernels "
      f"otherwise: pip install 'bertjax[cuda]' jax=={_JAX}"
    )
  try:
    plugin = importlib.import_module(_PLUGIN)
  except ImportError as error:
    sys.exit(
      f"error: there is no CUDA plugin ({first_line(error)}): pip install "
      f"'bertjax[cuda]' jax=={_JAX}"
    )
  kernels = list(lower())
  spec = importlib.util.find_spec("jax_plugins.xla_cuda13")
  (folder,) = (spec and spec.submodule_search_locations) or ("",)
  path = os.path.join(folder, _LIBRARY)
  library = xla_client.load_pjrt_plugin_dynamically("cuda13", path)
  for kernel in kernels:
    for capability in _CAPABILITIES:
      made = plugin.compile_triton_to_asm(
        library, kernel.code, capability, kernel.warps, 1, kernel.stages
      )
      print(
        f"{kernel.name} for {capability}: {made.smem_bytes} bytes of shared "
        f"memory; {describe(str(made.asm))}"
      )


if __name__ == "__main__":
  app.run(main)
