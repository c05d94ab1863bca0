# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Count the bytes that a step moves to and from HBM."""

from collections.abc import Iterator, Mapping

from bertjax.plan.hlo.parsing import Array, Computation, Instruction, Module
from bertjax.plan.hlo.products import KERNEL

# Opcodes that move nothing: they name an array that exists, or they run a
# computation whose own instructions are counted.
_FREE = frozenset(
  (
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "while",
    "conditional",
    "call",
    "async-start",
    "async-update",
    "after-all",
    "partition-id",
    "replica-id",
    "opt-barrier",
  )
)
# Attribute of an instruction whose only result aliases its first operand.
_ALIASED = "output_to_operand_aliasing={{}: (0, {})}"


def hbm_bytes(module: Module) -> int:
  """Return the bytes that one step moves to and from a device's HBM.

  Arrays whose layout is on the chip are left out. Of an array that is sliced
  or updated in part, only that part counts. The compiler's own count includes
  both, and so is larger.
  """
  inside = set(_inner(module))
  total = 0
  for name, computation in module.computations.items():
    runs = module.runs.get(name)
    if name in inside or runs is None:
      continue
    known = {each.name: each for each in computation}
    for instruction in computation:
      if instruction.opcode in _FREE or instruction.opcode.endswith("-done"):
        continue
      total += runs.times * _moved(instruction, known, module)
  return total


def _inner(module: Module) -> Iterator[str]:
  """Yield the computations inside fusions and reductions."""
  for computation in module.computations.values():
    for instruction in computation:
      for role, name in instruction.calls():
        if role in ("to_apply", "calls") and instruction.opcode not in _FREE:
          yield name


def _moved(
  instruction: Instruction, known: Mapping[str, Instruction], module: Module
) -> int:
  """Return the bytes that an instruction reads and writes in HBM."""
  names = [name for name in instruction.operands if name in known]
  operands = [known[name].result for name in names]
  opcode = instruction.opcode
  if opcode == "custom-call" and KERNEL not in instruction.attributes:
    return 0  # allocates a buffer, or names an array that exists
  if opcode in ("dynamic-slice", "slice", "gather"):
    part = sum(array.bytes for array in instruction.result)
    return part * (
      bool(_in_hbm(operands[0])) + bool(_in_hbm(instruction.result))
    )
  if opcode == "dynamic-update-slice":
    return 2 * _in_hbm(operands[1])
  if opcode in ("copy-start", "slice-start"):
    part = min(array.bytes for array in instruction.result if array.size > 1)
    return part * (bool(_in_hbm(operands[0])) + _lands_in_hbm(instruction))
  if opcode == "fusion":
    return _of_fusion(instruction, known, module)
  return sum(map(_in_hbm, operands)) + _in_hbm(instruction.result)


def _lands_in_hbm(instruction: Instruction) -> int:
  """Return 1 if the destination of a copy is in HBM, else 0."""
  arrays = [array for array in instruction.result if array.size > 1]
  if instruction.opcode == "copy-start":
    return int(arrays[0].space == 0)
  return int(arrays[-1].space == 0)


def _of_fusion(
  instruction: Instruction, known: Mapping[str, Instruction], module: Module
) -> int:
  body = _body(instruction, module)
  moved = _written(instruction, body)
  for each in body:
    if each.opcode != "parameter":
      continue
    operand = known.get(instruction.operands[int(each.operands[0])])
    whole = _in_hbm(operand.result) if operand else 0
    if whole:
      part = _read(each.name, body, module)
      moved += whole if part is None else min(part, whole)
  return moved


def _read(name: str, body: Computation, module: Module) -> int | None:
  """Return the bytes that a fusion reads of `name`; None stands for all."""
  part = 0
  for user in body:
    if name not in user.operands or user.opcode in ("tuple", "parameter"):
      continue
    if user.opcode in ("dynamic-slice", "slice", "gather"):
      found: int | None = sum(array.bytes for array in user.result)
    elif user.opcode == "dynamic-update-slice" and user.operands[0] == name:
      found = 0  # the rest of the array is not read
    elif user.opcode == "bitcast" or _is_view(user, module):
      found = _read(user.name, body, module)
    elif user.opcode == "fusion":
      found = _read_by_fusion(name, user, module)
    else:
      found = None
    if found is None:
      return None
    part += found
  return part


def _read_by_fusion(
  name: str, fusion: Instruction, module: Module
) -> int | None:
  body = _body(fusion, module)
  parts = [
    _read(each.name, body, module)
    for each in body
    if each.opcode == "parameter"
    and fusion.operands[int(each.operands[0])] == name
  ]
  return None if None in parts else sum(part or 0 for part in parts)


def _is_view(user: Instruction, module: Module) -> bool:
  """Return whether a fusion only gives its operand another tiling, in place."""
  if user.opcode != "fusion" or _ALIASED not in user.attributes:
    return False
  root = next(each for each in _body(user, module) if each.is_root)
  return root.opcode in ("copy", "bitcast")


def _body(fusion: Instruction, module: Module) -> Computation:
  return module.computations[dict(fusion.calls())["calls"]]


def _written(instruction: Instruction, body: Computation) -> int:
  """Return the bytes that a fusion writes; for an update in place, its size."""
  by_name = {each.name: each for each in body}
  root = next(each for each in body if each.is_root)
  parts = [root]
  if root.opcode == "tuple":
    parts = [by_name[name] for name in root.operands if name in by_name]
  written = 0
  for part, array in zip(parts, instruction.result, strict=False):
    if array.space:
      continue
    while part.opcode == "bitcast" and part.operands[0] in by_name:
      part = by_name[part.operands[0]]
    if part.opcode == "dynamic-update-slice":
      update = by_name.get(part.operands[1])
      written += sum(a.bytes for a in update.result) if update else array.bytes
    elif part.opcode != "parameter":
      written += array.bytes
  return written


def _in_hbm(arrays: tuple[Array, ...]) -> int:
  return sum(array.bytes for array in arrays if array.space == 0)
