# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compile Triton's kernels of attention for GPUs that are not there.

    python -m benchmarks.on_gpu.ahead_of_time

Prints the shared memory and the instructions of PTX of each kernel, for two
compute capabilities: those of flash with dropout and windows, for some sizes
and dtypes of heads, and of JAX's own kernel without either; and registers,
and bytes of them that are spilled, where CUDA's ptxas is. No time is measured.
Needs no GPU, but JAX's CUDA plugin: pip install 'bertjax[cuda]' jax==0.10.2
"""

import collections
import functools
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import warnings
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

from benchmarks.on_gpu import attention
from benchmarks.on_gpu.timing import first_line
from bertjax.model.ops.flash_attention import flash
from bertjax.model.ops.weight_draws import WeightDropout

_JAX = "0.10.2"
_CAPABILITIES = ("8.0", "9.0")
_PLUGIN = "jax_cuda13_plugin.cuda_plugin_extension"
_LIBRARY = "xla_cuda_plugin.so"
_ROWS, _LENGTH, _HEADS = 32, 512, 16
_SIZES = ((64, "bfloat16"), (128, "bfloat16"), (64, "float32"))
_PACKS = jax.ShapeDtypeStruct((_ROWS, _LENGTH), jnp.int32)
_SEEDS = jax.ShapeDtypeStruct((_ROWS, _HEADS, 2), jnp.uint32)
_REACH = jax.ShapeDtypeStruct((), jnp.int32)
# What draws are made of: PTX's operations on 32-bit integers. Addresses take
# some as well.
_INTEGER = re.compile(r"(add|sub|mad|shf|shl|shr|and|or|xor|lop3)\..*[bsu]32")
_OPERATION = re.compile(r"^\s+(?:@%\w+ )?([a-z]\w*(?:\.\w+)*)", re.MULTILINE)


class Kernel(NamedTuple):
  """A kernel in Triton's language.

  Attributes:
    name: of the kernel, and of its states.
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
  device = jax.sharding.AbstractDevice(
    device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu"
  )
  mesh = jax.sharding.AbstractMesh((), (), abstract_device=device)
  with jax.sharding.use_abstract_mesh(mesh), warnings.catch_warnings():
    # JAX 0.12 still has Triton, and says that it will not stay.
    warnings.simplefilter("ignore", DeprecationWarning)
    for width, dtype in _SIZES:
      shape = (4, _ROWS, _LENGTH, _HEADS, width)
      draws = jax.ShapeDtypeStruct(shape, dtype)
      arrays = (draws, _PACKS, _SEEDS, _REACH)
      name = f"heads of {width}, {dtype}: "
      yield from _find(jax.jit(_drop).trace(*arrays), name)
      if (kernel := attention.triton()) and (width, dtype) == _SIZES[0]:
        way = attention.Way("triton", kernel)
        run = jax.jit(attention.outputs, static_argnums=0)
        yield from _find(run.trace(way, draws, _PACKS), f"{name}JAX's ")


def _drop(draws: Any, packs: Any, seeds: Any, reach: Any) -> Any:
  """Return the outputs of flash, whose dropout and windows depend on arrays."""
  dropout = WeightDropout(seeds, 0.1)
  attend = functools.partial(flash, dropout=dropout, reach=reach)
  way = attention.Way("flash", attend, str(draws.dtype))
  return attention.outputs(way, draws, packs)


def _find(traced: Any, of_what: str) -> Iterator[Kernel]:
  lowered = traced.lower(lowering_platforms=("cuda",))
  module: Any = lowered.compiler_ir("stablehlo")
  for operation in _walk(module.operation):
    name = "call_target_name"
    attributes = operation.attributes
    if name in attributes and "triton" in str(attributes[name]):
      config = attributes["mhlo.backend_config"]
      yield Kernel(
        of_what + ir.StringAttr(config["name"]).value,
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


def registers(ptx: str, capability: str) -> str:
  """Return what a thread of a program keeps; "" without ptxas."""
  if not (compiler := shutil.which("ptxas")):
    return ""
  # From Hopper on, products need what is of one architecture alone.
  name = f"sm_{capability.replace('.', '')}" + "a" * (float(capability) >= 9)
  done = subprocess.run(
    [compiler, "-v", f"--gpu-name={name}", "-", "-o", os.devnull],
    input=ptx,
    capture_output=True,
    text=True,
    check=True,
  )
  (used,) = re.findall(r"Used (\d+) registers", done.stderr)
  (spilled,) = re.findall(r"(\d+) bytes spill stores", done.stderr)
  return f"; {used} registers, {spilled} bytes spilled"


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
        + registers(str(made.asm), capability)
      )


if __name__ == "__main__":
  app.run(main)
