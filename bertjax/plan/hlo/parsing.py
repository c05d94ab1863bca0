# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Parse an optimized program's text: computations, and how often each runs.

The grammar is that of XLA's HLO printer, which is the same for every backend.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from bertjax.plan.hlo import elements

_BITS = {
  **dict.fromkeys(("pred", "s8", "u8"), 8),
  **dict.fromkeys(("s2", "u2"), 2),
  **dict.fromkeys(("s4", "u4", "f4e2m1fn"), 4),
  **dict.fromkeys(("s16", "u16", "f16", "bf16"), 16),
  **dict.fromkeys(("s32", "u32", "f32"), 32),
  **dict.fromkeys(("s64", "u64", "f64", "c64"), 64),
  "c128": 128,
}
_ARRAY = re.compile(
  r"\b([a-z]+[0-9]*(?:e\d+m\d+\w*)?)\[([\d,<= ]*)\](\{[^}]*\})?"
)
_SPACE = re.compile(r"S\((\d+)\)")
_BEGIN = re.compile(r"^(ENTRY\s+)?%?([\w.\-]+)\s*\(.*\{\s*$")
_NAME = re.compile(r"^\s+(ROOT\s+)?%?([\w.\-]+) = ")
_CALLS = re.compile(
  r"\b(calls|body|condition|to_apply|branch_computations|true_computation"
  r"|false_computation|called_computations)=(\{[^}]*\}|%?[\w.\-]+)"
)
_INDEX = re.compile(r"index=(\d+)")
_TRIPS = re.compile(r'known_trip_count[":{\\ ]+n[":\\ ]+(\d+)')


class Array(NamedTuple):
  """Type of an array.

  Attributes:
    dtype: XLA's name of the dtype.
    shape: size of each axis.
    space: memory space; 0 is HBM, others are on the chip.
  """

  dtype: str
  shape: tuple[int, ...]
  space: int = 0

  @property
  def size(self) -> int:
    """Return the number of elements."""
    return math.prod(self.shape)

  @property
  def bytes(self) -> int:
    """Return the number of bytes, without padding."""
    # XLA's f8e4m3fn and similar dtypes have 8 bits; its type `token` has 0.
    bits = _BITS.get(self.dtype, 8 if self.dtype.startswith("f8") else 0)
    return -(-self.size * bits // 8)


@dataclasses.dataclass(frozen=True)
class Instruction:
  """One line of a computation.

  Attributes:
    name: name without the leading %.
    opcode: such as all-reduce.
    result: the arrays of its result; the elements of a tuple, flattened.
    operands: names of instructions. A constant has its value instead, a
      parameter its number.
    attributes: the text after the operands.
    is_root: whether it is the result of its computation.
  """

  name: str
  opcode: str
  result: tuple[Array, ...]
  operands: tuple[str, ...]
  attributes: str
  is_root: bool = False

  def calls(self) -> Iterator[tuple[str, str]]:
    """Yield (role, name) of the computations that it runs."""
    for role, names in _CALLS.findall(self.attributes):
      for name in re.findall(r"[\w.\-]+", names):
        yield role, name


Computation = Sequence[Instruction]


@dataclasses.dataclass(frozen=True)
class Module:
  """A program.

  Attributes:
    entry: name of the computation that the program starts with.
    computations: all computations by name.
    true_share: how often a condition holds, of the runs of its conditional;
      None counts both branches in each run.
  """

  entry: str
  computations: Mapping[str, Computation]
  true_share: Fraction | None = None

  @functools.cached_property
  def runs(self) -> Mapping[str, "Runs"]:
    """Return how often one run of the program runs each computation."""
    # Callees stand before their callers in the text: so walk it backwards.
    found: dict[str, Runs] = {self.entry: Runs(1, False)}
    for caller in reversed(list(self.computations)):
      if caller not in found:
        continue
      for instruction in self.computations[caller]:
        self._add_calls(instruction, caller, found)
    return found

  @functools.cached_property
  def uncounted(self) -> tuple[str, ...]:
    """Return loops with an unknown number of iterations; one is counted."""
    return tuple(
      instruction.name
      for name, computation in self.computations.items()
      for instruction in computation
      if instruction.opcode == "while"
      and self.trip_count(instruction, computation) is None
      and name in self.runs
    )

  @functools.cached_property
  def unreached(self) -> tuple[str, ...]:
    """Return computations that nothing runs: some lines did not parse."""
    return tuple(name for name in self.computations if name not in self.runs)

  def _add_calls(
    self, instruction: Instruction, caller: str, found: dict[str, "Runs"]
  ) -> None:
    of_caller, trips = found[caller], 1
    if instruction.opcode == "while":
      count = self.trip_count(instruction, self.computations[caller])
      trips = 1 if count is None else count
    for role, name in instruction.calls():
      before = found.get(name, Runs(0, False))
      times = of_caller.times * trips
      if instruction.opcode == "conditional":
        # Rounded up: a conditional outside of loops counts both branches.
        times = math.ceil(times * self._share(instruction, role, name))
      found[name] = Runs(
        before.times + times,
        # A loop of one iteration does not count as a loop.
        before.in_loop or of_caller.in_loop or trips > 1,
      )

  def _share(
    self, conditional: Instruction, role: str, branch: str
  ) -> Fraction | int:
    """Return how often a conditional takes a branch, of its runs."""
    branches = [name for _, name in conditional.calls()]
    if self.true_share is None or len(branches) != 2:
      return 1
    # Listed branches are numbered: that of False, 0, comes first.
    holds = (
      branch == branches[1]
      if role == "branch_computations"
      else role == "true_computation"
    )
    return self.true_share if holds else 1 - self.true_share

  def trip_count(
    self, instruction: Instruction, caller: "Computation"
  ) -> int | None:
    """Return the iterations of a while loop of `caller`; None if unknown."""
    known = _TRIPS.search(instruction.attributes)
    if known:
      return int(known[1])
    roles = dict(instruction.calls())
    condition = self.computations.get(roles.get("condition", ""), ())
    outside = {each.name: each for each in caller}
    start = (
      outside.get(instruction.operands[0]) if instruction.operands else None
    )
    return _from_condition(condition, outside, start)


class Runs(NamedTuple):
  """How often a computation runs, and whether it is in the body of a loop."""

  times: int
  in_loop: bool


def parse(text: str, true_share: Fraction | None = None) -> Module:
  """Parse a program.

  Args:
    text: the program, as XLA prints it.
    true_share: see `Module`.

  Raises:
    ValueError: there is no entry computation.
  """
  computations: dict[str, list[Instruction]] = {}
  entry, current = "", None
  for line in elements.spell_out(_whole_lines(text)):
    if current is not None and line[:1].isspace():
      instruction = _parse_instruction(line)
      if instruction:
        current.append(instruction)
      continue
    begin = _BEGIN.match(line)
    if begin:
      current = computations.setdefault(begin[2], [])
      entry = begin[2] if begin[1] else entry
    elif line.startswith("}"):
      current = None
  if not entry:
    raise ValueError("the program's text has no ENTRY computation")
  return Module(entry, computations, true_share)


def _whole_lines(text: str) -> Iterator[str]:
  """Yield lines, each with a whole instruction.

  The metadata of a kernel may contain line breaks.
  """
  held = ""
  for line in text.splitlines():
    inside = held[:1].isspace()
    if inside and line and not line[0].isspace() and line.rstrip() != "}":
      held += line
      continue
    yield held
    held = line
  yield held


def arrays(text: str) -> tuple[Array, ...]:
  """Return the arrays of a type; those of nested tuples are flattened."""
  return tuple(
    Array(
      dtype,
      tuple(int(size.lstrip("<=")) for size in _sizes(shape)),
      int(space[1]) if (space := _SPACE.search(layout)) else 0,
    )
    for dtype, shape, layout in _ARRAY.findall(text)
  )


def _sizes(shape: str) -> list[str]:
  return [size.strip() for size in shape.split(",") if size.strip()]


def _parse_instruction(line: str) -> Instruction | None:
  begin = _NAME.match(line)
  if not begin:
    return None
  rest = line[begin.end() :]
  # The type of a tuple stands in brackets, and its layouts have brackets too.
  cut = _closing(rest) + 1 if rest.startswith("(") else rest.find(" ")
  kind, rest = rest[:cut], rest[cut:].lstrip()
  opcode, bracket, rest = rest.partition("(")
  if not bracket:
    return None
  end = _closing("(" + rest) - 1
  operands = re.findall(r"%([\w.\-]+)", rest[:end])
  literal = opcode in ("constant", "parameter")
  return Instruction(
    name=begin[2],
    opcode=opcode.strip(),
    result=arrays(kind),
    operands=(rest[:end],) if literal else tuple(operands),
    attributes=rest[end + 1 :],
    is_root=bool(begin[1]),
  )


def _closing(text: str) -> int:
  """Return the position of the bracket that closes the first one of `text`."""
  depth = 0
  for match in re.finditer(r"[()]", text):
    depth += 1 if match[0] == "(" else -1
    if not depth:
      return match.start()
  return len(text)


def _from_condition(
  condition: Computation,
  outside: Mapping[str, Instruction],
  start: Instruction | None,
) -> int | None:
  """Return the iterations of a loop that counts from 0 by 1 up to a limit.

  The limit is a constant of the condition, or a constant that the loop carries
  in its state.

  Args:
    condition: the computation that compares counter and limit.
    outside: instructions of the loop's caller by name.
    start: the instruction that makes the loop's initial state.
  """
  inside = {each.name: each for each in condition}
  root = next((each for each in condition if each.is_root), None)
  if root is None:
    return None
  if root.opcode == "fusion":
    # The comparison is inside the fusion, and the limit is one of its operands.
    names = root.operands
  elif root.opcode == "compare" and "direction=LT" in root.attributes:
    names = root.operands[1:]
  elif root.opcode == "compare" and "direction=GT" in root.attributes:
    names = root.operands[:1]
  else:
    return None
  limits = []
  for name in names:
    found = inside.get(name)
    index = _INDEX.search(found.attributes) if found else None
    if found and index and found.opcode == "get-tuple-element" and start:
      place = int(index[1])
      found = (
        outside.get(start.operands[place])
        if start.opcode == "tuple" and place < len(start.operands)
        else None
      )
    # The limit may be read from a copy.
    while found and found.opcode in ("copy", "bitcast") and found.operands:
      found = outside.get(found.operands[0]) or inside.get(found.operands[0])
    if found and found.opcode == "constant":
      limits += [int(n) for n in found.operands if n.lstrip("-").isdigit()]
  return max(limits, default=None)
