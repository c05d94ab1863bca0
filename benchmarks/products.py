# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of a step on a CPU: its products with kernels, and nothing else.

    python -m benchmarks.products [--size=base] [--batch_size=8] [--dtype=…]

A layer has six products with kernels, of three shapes. With --fused_qkv the
products for queries, keys and values are one, three times as wide. Each shape
runs forward and both of its gradients, by the model's own `project`, by
`jax.lax.dot_general` as autodiff writes it, and by PyTorch, in turns. The last
lines add them up for all layers of a step, which takes at least that long.
"""

import functools
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from absl import app, flags

from benchmarks import figures, turns
from bertjax.config import SIZES, ComputeConfig, ModelConfig, choices
from bertjax.model.ops.projection import project
from launch import host_memory

PLAIN = "dot_general"


class Shape(NamedTuple):
  """A product of all positions with a kernel.

  Attributes:
    inputs: width of the inputs.
    outputs: width of the outputs.
    number: products of this shape in a layer.
  """

  inputs: int
  outputs: int
  number: int


def shapes_of(model: ModelConfig, *, fused_qkv: bool) -> tuple[Shape, ...]:
  """Return the products with kernels of a layer."""
  hidden, inner = model.hidden_size, model.intermediate_size
  attention = (
    (Shape(hidden, 3 * hidden, 1), Shape(hidden, hidden, 1))
    if fused_qkv
    else (Shape(hidden, hidden, 4),)
  )
  return (
    *attention,
    Shape(hidden, inner, 1),
    Shape(inner, hidden, 1),
  )


def flops(shape: Shape, rows: int) -> float:
  """Return the FLOPs of a product, and of both of its gradients."""
  return 3 * 2.0 * rows * shape.inputs * shape.outputs


def make_ours(shape: Shape, rows: int, dtype: str, multiply: Any) -> turns.Step:
  """Return a function that computes a product and both gradients."""
  keys = jax.random.split(jax.random.key(0), 3)
  sizes = (
    (rows, shape.inputs),
    (shape.inputs, shape.outputs),
    (rows, shape.outputs),
  )
  inputs, kernel, cotangent = (
    jax.random.normal(key, size, dtype)
    for key, size in zip(keys, sizes, strict=True)
  )

  @jax.jit
  def run(inputs: Any, kernel: Any, cotangent: Any) -> Any:
    output, pull_back = jax.vjp(multiply, inputs, kernel)
    return output, pull_back(cotangent)

  return lambda: jax.block_until_ready(run(inputs, kernel, cotangent))


def make_theirs(shape: Shape, rows: int, dtype: str) -> turns.Step:
  """Return a function that does the same in PyTorch."""
  import torch

  torch.set_num_threads(os.cpu_count() or 1)
  draw = functools.partial(torch.randn, dtype=getattr(torch, dtype))
  # PyTorch keeps a kernel with its outputs first.
  inputs = draw(rows, shape.inputs, requires_grad=True)
  kernel = draw(shape.outputs, shape.inputs, requires_grad=True)
  cotangent = draw(rows, shape.outputs)

  def run() -> None:
    output = torch.nn.functional.linear(inputs, kernel)
    torch.autograd.grad(output, (inputs, kernel), cotangent)

  return run


def measure(shape: Shape, rows: int) -> Mapping[str, float]:
  """Return the median seconds of each contender, by name."""
  dtype = flags.FLAGS.dtype
  contenders = {
    turns.OURS: make_ours(shape, rows, dtype, lambda x, w: project(x, w, 1)),
    PLAIN: make_ours(shape, rows, dtype, jnp.matmul),
  }
  if flags.FLAGS.torch:
    contenders[turns.EAGER] = make_theirs(shape, rows, dtype)
  return {
    name: turns.median(spent)
    for name, spent in turns.interleave(
      contenders, flags.FLAGS.rounds, turns.PAUSE
    ).items()
  }


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_enum("size", "base", list(SIZES), "Shape of the model.")
  flags.DEFINE_integer("batch_size", 8, "Rows of a step.")
  flags.DEFINE_integer("seq_length", 128, "Tokens of a row.")
  flags.DEFINE_enum(
    "dtype", "float32", list(choices(ComputeConfig, "dtype")), "Dtype of both."
  )
  flags.DEFINE_bool("torch", True, "Time PyTorch's products as well.")
  flags.DEFINE_bool("fused_qkv", False, "Join queries, keys and values.")
  flags.DEFINE_integer("rounds", 9, "Timed turns of each.")


def main(_: object) -> None:
  """Measure each shape, and add up those of all layers."""
  host_memory.retain()
  model = SIZES[flags.FLAGS.size]
  rows = flags.FLAGS.batch_size * flags.FLAGS.seq_length
  total: dict[str, float] = {}
  work = 0.0
  for shape in shapes_of(model, fused_qkv=flags.FLAGS.fused_qkv):
    found = measure(shape, rows)
    rates = "  ".join(
      f"{name} {flops(shape, rows) / seconds / 1e9:.0f}"
      for name, seconds in found.items()
    )
    print(f"{rows} × {shape.inputs} × {shape.outputs}, GFLOP/s: {rates}")
    times = shape.number * model.num_layers
    work += times * flops(shape, rows)
    for name, seconds in found.items():
      total[name] = total.get(name, 0.0) + times * seconds
  what = (
    f"products of a step, BERT-{flags.FLAGS.size} {flags.FLAGS.batch_size} × "
    f"{flags.FLAGS.seq_length}, {turns.dtype_words(flags.FLAGS.dtype)}"
  )
  for name, seconds in total.items():
    print(f"{what}: {name} {seconds:.3f} s, {work / seconds / 1e9:.0f} GFLOP/s")
  ours = total.pop(turns.OURS)
  figures.record(
    *(
      figures.Figure(what, ours, "s", seconds, name)
      for name, seconds in total.items()
    )
  )


if __name__ == "__main__":
  define_flags()
  app.run(main)
