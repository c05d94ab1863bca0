# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Count what kernels of attention move and compute, without a device.

    python -m benchmarks.kernel_traffic

prints bytes, FLOPs and vector operations of forward and backward passes, of
splash without dropout and of flash with it, on TPUs and on GPUs. Bytes follow
from the block specifications. A TPU copies a block when its index differs from
that of the grid step before. On a GPU each step is a program of its own, which
reads its blocks from a cache of all programs: memory gives each block once at
least, and the cache gives each program all of its blocks. FLOPs are those of
matrix products, vector operations are all others on tiles, of integers too.
Both follow from the kernels' own programs.
Nothing is measured, so nothing here is a speed.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from absl import app
from jax.experimental.pallas import triton

from bertjax.model.ops.flash_attention import flash
from bertjax.model.ops.fused_attention import splash
from bertjax.model.ops.weight_draws import WeightDropout

Array = jax.Array
# Attention of BERT-large.
ROWS, HEADS, WIDTH = 16, 16, 64
LENGTHS = (128, 512, 1024, 2048)
KERNELS = ("splash", "flash", "flash on a GPU")
RATE = 0.1
# Primitives that move or rename numbers.
_MOVES = {
  "broadcast_in_dim",
  "concatenate",
  "convert_element_type",
  "bitcast_convert_type",
  "copy",
  "get",
  "iota",
  "multiple_of",
  "program_id",
  "reshape",
  "slice",
  "squeeze",
  "swap",
  "tile",
  "transpose",
}


@dataclasses.dataclass(frozen=True)
class Traffic:
  """What kernels do, all calls of a program together.

  Attributes:
    hbm_bytes: bytes that blocks move between HBM and the chip; on a GPU the
      least, each block once.
    cache_bytes: bytes that a GPU's programs move from and to its cache.
    flops: multiplications and additions of matrix products.
    vector_ops: other operations, one for each number that comes out.
  """

  hbm_bytes: int = 0
  flops: int = 0
  vector_ops: int = 0
  cache_bytes: int = 0

  def __add__(self, other: "Traffic") -> "Traffic":
    """Return the sum of both."""
    return Traffic(
      self.hbm_bytes + other.hbm_bytes,
      self.flops + other.flops,
      self.vector_ops + other.vector_ops,
      self.cache_bytes + other.cache_bytes,
    )

  def __mul__(self, times: int) -> "Traffic":
    """Return `times` of this."""
    return Traffic(
      self.hbm_bytes * times,
      self.flops * times,
      self.vector_ops * times,
      self.cache_bytes * times,
    )


def count(function: Callable[..., Any], *arguments: Any) -> Traffic:
  """Return what the Pallas kernels of a function do; nothing runs.

  Args:
    function: anything that JAX can trace.
    *arguments: arrays, or their shapes.
  """
  trace = jax.make_jaxpr(function)(*arguments)
  known = dict(zip(trace.jaxpr.constvars, trace.consts, strict=True))
  return sum(
    (_of_call(*one) for one in _calls(trace.jaxpr, known)), start=Traffic()
  )


def attention_gradients(
  kernel: str, length: int, rows: int = ROWS, heads: int = HEADS
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
  """Return attention with its gradients, and the shapes that it takes.

  Args:
    kernel: of `KERNELS`; splash drops nothing, flash drops `RATE`.
    length: positions of a row.
    rows: number of rows.
    heads: number of heads.
  """
  state = jax.ShapeDtypeStruct((rows, length, heads, WIDTH), jnp.bfloat16)
  packs = jax.ShapeDtypeStruct((rows, length), jnp.int32)
  seeds = jax.ShapeDtypeStruct((rows, heads, 2), jnp.uint32)

  def run(
    states: tuple[Array, Array, Array],
    gradient: Array,
    packs: Array,
    seeds: Array,
  ) -> Any:
    if kernel == "splash":
      attend = lambda q, k, v: splash(q, k, v, packs)
    else:
      attend = lambda q, k, v: flash(
        *(q, k, v, packs),
        dropout=WeightDropout(seeds, RATE),
        # Nothing runs: it says which platform's kernels are traced.
        interpret="tpu" if kernel == "flash" else "gpu",
      )
    context, back = jax.vjp(attend, *states)
    return context, back(gradient)

  return run, ((state, state, state), state, packs, seeds)


def _calls(jaxpr: Any, known: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
  """Yield the calls of kernels, and the tables that their blocks look up.

  Args:
    jaxpr: a program, whose inner programs are walked through as well.
    known: values of its variables that depend on no argument; grows.
  """
  for equation in jaxpr.eqns:
    inner = list(jax.extend.core.jaxprs_in_params(equation.params))
    values = [_value(var, known) for var in equation.invars]
    if equation.primitive.name == "pallas_call":
      mapping = equation.params["grid_mapping"]
      yield equation, values[: mapping.num_index_operands]
    elif inner:
      for one in inner:
        pairs = zip(one.invars, values, strict=False)
        yield from _calls(
          one, {var: value for var, value in pairs if value is not None}
        )
    elif values and all(value is not None for value in values):
      found = equation.primitive.bind(*values, **equation.params)
      found = found if equation.primitive.multiple_results else [found]
      known.update(zip(equation.outvars, found, strict=True))


def _value(var: Any, known: dict[Any, Any]) -> Any:
  """Return the value of a literal or of a known variable, or else None."""
  is_literal = isinstance(var, jax.extend.core.Literal)
  return var.val if is_literal else known.get(var)


def _of_call(call: Any, tables: Sequence[Any]) -> Traffic:
  mapping = call.params["grid_mapping"]
  steps = math.prod(mapping.grid)
  on_gpu = isinstance(call.params["compiler_params"], triton.CompilerParams)
  moved = cached = 0
  for block in mapping.block_mappings:
    aval = block.block_aval
    size = math.prod(aval.shape) * aval.dtype.itemsize
    indices = _indices(block, mapping.grid, tables)
    if on_gpu:
      moved += size * len(np.unique(indices, axis=0))
      cached += size * steps
    else:
      changes = (indices[1:] != indices[:-1]).any(axis=1)
      moved += size * (1 + int(changes.sum()))
  work = _work(call.params["jaxpr"]) * steps
  return Traffic(hbm_bytes=moved, cache_bytes=cached) + work


def _indices(
  block: Any, grid: tuple[int, ...], tables: Sequence[Any]
) -> np.ndarray:
  """Return the index of a block at each step, as the grid is walked through."""
  jaxpr = block.index_map_jaxpr.jaxpr

  def index_at(step: Array) -> Array:
    values = dict(zip(jaxpr.invars, [*step, *tables], strict=True))
    for equation in jaxpr.eqns:
      inputs = [_value(var, values) for var in equation.invars]
      if equation.primitive.name == "get":
        (indexer,) = jax.tree.unflatten(equation.params["tree"], inputs[1:])
        found = jnp.asarray(inputs[0])[indexer.indices]
      else:
        found = equation.primitive.bind(*inputs, **equation.params)
      values[equation.outvars[0]] = found
    return jnp.stack([jnp.int32(_value(var, values)) for var in jaxpr.outvars])

  steps = np.array(list(itertools.product(*map(range, grid))), np.int32)
  return np.asarray(jax.jit(jax.vmap(index_at))(steps))


def _work(jaxpr: Any) -> Traffic:
  """Return what one grid step computes, of conditions the larger branch."""
  total = Traffic()
  for equation in jaxpr.eqns:
    name, params = equation.primitive.name, equation.params
    inner = list(jax.extend.core.jaxprs_in_params(params))
    if name == "while":
      raise ValueError("a kernel's loop has bounds that only a run knows")
    if name == "cond":
      total += max(map(_work, inner), key=lambda one: one.vector_ops)
    elif inner:
      times = params["length"] if name == "scan" else 1
      total += sum(map(_work, inner), start=Traffic()) * times
    elif name == "dot_general":
      total += Traffic(flops=_product_flops(equation))
    elif name not in _MOVES:
      # What reduces works on all that comes in.
      reads = equation.invars if name.startswith("reduce") else []
      total += Traffic(
        vector_ops=max(var.aval.size for var in [*reads, *equation.outvars])
      )
  return total


def _product_flops(equation: Any) -> int:
  (contracted, _), _ = equation.params["dimension_numbers"]
  left = equation.invars[0].aval
  depth = math.prod(left.shape[axis] for axis in contracted)
  return 2 * depth * equation.outvars[0].aval.size


def main(_: list[str]) -> None:
  """Print the table."""
  print(
    f"{ROWS} rows, {HEADS} heads of {WIDTH}, bfloat16, forward and backward; "
    f"flash drops {RATE:.0%} of the weights\n"
  )
  print(
    "| positions | kernel | HBM MB | cache MB | GFLOP | Gop | HBM / splash's |"
  )
  print("|--:|---|--:|--:|--:|--:|--:|")
  for length in LENGTHS:
    found = {}
    for kernel in KERNELS:
      run, shapes = attention_gradients(kernel, length)
      one = found[kernel] = count(run, *shapes)
      share = one.hbm_bytes / found["splash"].hbm_bytes
      print(
        f"| {length} | {kernel} | {one.hbm_bytes / 1e6:.1f} "
        f"| {one.cache_bytes / 1e6:.1f} "
        f"| {one.flops / 1e9:.1f} | {one.vector_ops / 1e9:.1f} | {share:.2f} |"
      )


if __name__ == "__main__":
  app.run(main)
