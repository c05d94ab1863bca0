# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Count what attention costs at short lengths: by the compiler, and splash.

    python -m benchmarks.attention_lengths

prints bytes of HBM traffic and FLOPs of a layer's attention, forward and
backward, without dropout, for as many positions at each length: compiled ahead
of time for one chip of v5e, where no TPU is needed. The passes are programs of
their own, so that what the backward pass needs is kept in HBM, as in a train
step. From what length on "auto" takes splash follows from this table. Nothing
is measured, so nothing here is a speed.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from bertjax.plan import environment

if __name__ == "__main__":
  environment.set_environment()  # before JAX is imported

import jax
import jax.numpy as jnp
import numpy as np
from absl import app

from benchmarks import kernel_traffic
from bertjax.model.ops.dot_product import attend
from bertjax.model.ops.fused_attention import splash
from bertjax.plan.hardware import topologies
from bertjax.plan.hlo import parsing, products, traffic

Array = jax.Array
# Attention of BERT-large.
HEADS, WIDTH = 16, 64
POSITIONS = 6144  # on a chip; a multiple of each length
LENGTHS = (128, 256, 384, 512)


@dataclasses.dataclass(frozen=True)
class Cost:
  """What a layer's attention costs, forward and backward.

  Attributes:
    hbm_bytes: bytes to and from HBM in the compiled program; a kernel reads
      each of its arrays once and writes each of its results once.
    flops: of matrix products.
  """

  hbm_bytes: int
  flops: int


def forward_pass(kernel: str, length: int) -> tuple[Any, tuple[Any, ...]]:
  """Return attention with what its backward pass needs, and its shapes.

  Args:
    kernel: xla or splash.
    length: positions of a row.
  """
  rows = POSITIONS // length
  state = jax.ShapeDtypeStruct((rows, length, HEADS, WIDTH), jnp.bfloat16)
  packs = jax.ShapeDtypeStruct((rows, length), jnp.int32)

  def run(states: tuple[Array, Array, Array], packs: Array) -> tuple[Any, Any]:
    def attention(query: Array, key: Array, value: Array) -> Array:
      if kernel == "splash":
        return splash(query, key, value, packs)
      return attend(query, key, value, packs, None, 0.0)

    return jax.vjp(attention, *states)

  return run, ((state, state, state), packs)


def count(kernel: str, length: int, device: Any) -> Cost:
  """Return what a layer's attention costs, compiled for a device.

  Args:
    kernel: xla or splash.
    length: positions of a row.
    device: the device to compile for; it need not be there.
  """
  mesh = jax.sharding.Mesh(np.array([device]), ("all",))
  place = jax.sharding.NamedSharding(mesh, jax.P())
  forward, shapes = forward_pass(kernel, length)
  context, back = jax.eval_shape(forward, *shapes)
  hbm_bytes = flops = 0
  for run, arguments in (
    (forward, shapes),
    (lambda back, slope: back(slope), (back, context)),
  ):
    jitted = jax.jit(run, in_shardings=place, out_shardings=place)
    text = jitted.lower(*arguments).compile().as_text()
    assert text is not None, "this compiler gives no text of its program"
    module = parsing.parse(text)
    hbm_bytes += traffic.hbm_bytes(module)
    flops += products.matmul_flops(module)
  if kernel == "splash":
    alone, arguments = kernel_traffic.attention_gradients(
      kernel, length, POSITIONS // length, HEADS
    )
    flops += kernel_traffic.count(alone, *arguments).flops
  return Cost(hbm_bytes, flops)


def table() -> Iterator[str]:
  """Yield the lines of the table, each as soon as it is known."""
  topology = topologies.find("v5e:2x2")
  device = topologies.get_devices(topology)[0]
  chip = topology.chip
  yield f"{POSITIONS:,} positions, {HEADS} heads of {WIDTH}, bfloat16, v5e\n"
  yield "| positions of a row | attention | HBM MB | ms | GFLOP | ms |"
  yield "|--:|---|--:|--:|--:|--:|"
  for length in LENGTHS:
    for kernel in ("xla", "splash"):
      cost = count(kernel, length, device)
      yield (
        f"| {length} | {kernel} | {cost.hbm_bytes / 1e6:.1f} "
        f"| {1e3 * cost.hbm_bytes / chip.hbm_bandwidth:.3f} "
        f"| {cost.flops / 1e9:.2f} "
        f"| {1e3 * cost.flops / chip.peak_flops:.3f} |"
      )


def main(_: list[str]) -> None:
  """Print the table."""
  for line in table():
    print(line, flush=True)


if __name__ == "__main__":
  app.run(main)
