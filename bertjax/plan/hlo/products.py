# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Count the FLOPs of matrix products that one device computes in a step.

The compiler's own `cost_analysis` counts the body of a loop once. Here each
computation counts as often as it runs.
"""

import math
import re
from collections.abc import Iterator, Mapping

from bertjax.plan.hlo.parsing import Array, Instruction, Module

# A call of a Pallas kernel, whose inside is not part of the program's text.
KERNEL = 'custom_call_target="tpu_custom_call"'
_WINDOW = re.compile(r"window=\{([^}]*)\}")
_LABELS = re.compile(r"dim_labels=(\w+)_(\w+)->(\w+)")
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")


def matmul_flops(module: Module) -> int:
  """Return the FLOPs of all matrix products of one step on one device.

  A multiplication and an addition count as two. Products with padding count
  nothing, and neither do products inside Pallas kernels.
  """
  total = 0
  for name, computation in module.computations.items():
    runs = module.runs.get(name)
    if runs is None or not runs.times:
      continue
    known = {each.name: each.result for each in computation}
    for instruction in computation:
      if instruction.opcode in _COUNTED:
        count = _COUNTED[instruction.opcode]
        total += runs.times * count(instruction, known)
  return total


def has_kernels(module: Module) -> bool:
  """Return whether there are Pallas kernels, whose FLOPs are not counted."""
  return any(
    KERNEL in instruction.attributes
    for computation in module.computations.values()
    for instruction in computation
    if instruction.opcode == "custom-call"
  )


def _dot(
  instruction: Instruction, known: Mapping[str, tuple[Array, ...]]
) -> int:
  (left,) = known[instruction.operands[0]]
  match = _CONTRACTED.search(instruction.attributes)
  axes = [int(axis) for axis in match[1].split(",") if axis] if match else []
  contracted = math.prod(left.shape[axis] for axis in axes)
  return 2 * instruction.result[0].size * contracted


def _convolution(
  instruction: Instruction, known: Mapping[str, tuple[Array, ...]]
) -> int:
  (given,), (kernel,) = (known[name] for name in instruction.operands[:2])
  labels = _LABELS.search(instruction.attributes)
  assert labels, instruction.name
  sizes = lambda text, array: dict(zip(text, array.shape, strict=True))
  ins, taps = sizes(labels[1], given), sizes(labels[2], kernel)
  outs = sizes(labels[3], instruction.result[0])
  pairs = 1
  for number, window in enumerate(_windows(instruction.attributes, taps)):
    digit = str(number)
    pairs *= _pairs(outs[digit], ins[digit], taps[digit], window)
  return 2 * outs["b"] * outs["f"] * taps["i"] * pairs


def _windows(
  attributes: str, taps: Mapping[str, int]
) -> Iterator[dict[str, int]]:
  """Yield stride, lower padding and dilations of each axis of a window."""
  axes = sum(label.isdigit() for label in taps)
  match = _WINDOW.search(attributes)
  parts = dict(part.split("=") for part in match[1].split()) if match else {}
  part = lambda name: parts.get(name, "x".join("1" * axes)).split("x")
  pads = parts.get("pad", "x".join(["0_0"] * axes)).split("x")
  for axis in range(axes):
    yield {
      "stride": int(part("stride")[axis]),
      "pad": int(pads[axis].partition("_")[0]),
      "lhs_dilate": int(part("lhs_dilate")[axis]),
      "rhs_dilate": int(part("rhs_dilate")[axis]),
    }


def _pairs(out: int, size: int, taps: int, window: Mapping[str, int]) -> int:
  """Count the (position, tap) pairs of one axis that do not meet padding."""
  found = 0
  for position in range(out):
    for tap in range(taps):
      place = position * window["stride"] - window["pad"]
      place += tap * window["rhs_dilate"]
      whole, rest = divmod(place, window["lhs_dilate"])
      found += rest == 0 and 0 <= whole < size
  return found


_COUNTED = {"dot": _dot, "convolution": _convolution}
