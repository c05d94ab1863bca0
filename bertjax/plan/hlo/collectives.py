# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find the collectives of one step in the compiled program.

Inside a slice these are XLA's collectives. Between slices the compiler splits a
collective into one inside each slice and a transfer between their hosts. Such a
transfer counts here as a collective whose group is the slices.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bertjax.plan.hlo.parsing import Array, Computation, Instruction, Module

KINDS = (
  "all-reduce",
  "all-gather",
  "reduce-scatter",
  "all-to-all",
  "collective-permute",
  "collective-broadcast",
)
_TRANSFER = re.compile(r'_xla_megascale_transfer_type="(\w+)"')
_RENDEZVOUS = re.compile(r'_xla_host_transfer_rendezvous="([^"]*)"')
_EXPLICIT = re.compile(r"replica_groups=\{\{([\d, ]*)\}")
_IOTA = re.compile(r"replica_groups=\[(\d+),(\d+)\]<=")
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\]\s*\{([^}]*)\}")
# Instructions that take time and so may hide a collective.
_WORK = frozenset(("fusion", "while", "convolution", "dot", "custom-call"))


@dataclasses.dataclass(frozen=True)
class Collective:
  """One collective of the program, with all its runs in a step.

  Attributes:
    kind: one of KINDS.
    name: name of its instruction.
    arrays: the whole arrays: operands of a reduction, results of a gather. A
      collective may have several.
    group: devices that take part together; slices if `crosses`.
    times: runs in one step.
    in_loop: whether it is in the body of a loop, over layers or micro-batches.
    overlaps: whether computation goes on meanwhile.
    scattered: whether the result of an all-reduce is sharded at once, which
      halves its cost.
    crosses: whether it goes from slice to slice.
  """

  kind: str
  name: str
  arrays: tuple[Array, ...]
  group: int
  times: int = 1
  in_loop: bool = False
  overlaps: bool = False
  scattered: bool = False
  crosses: bool = False

  @property
  def bytes(self) -> int:
    """Return the bytes of the whole arrays in one run."""
    return sum(array.bytes for array in self.arrays)

  @property
  def step_bytes(self) -> int:
    """Return the bytes of the whole arrays in one step."""
    return self.bytes * self.times

  @property
  def wire_bytes(self) -> float:
    """Return the bytes that each device sends in one step, in a ring."""
    if self.kind == "collective-permute":
      return float(self.step_bytes)
    twice = 2 if self.kind == "all-reduce" and not self.scattered else 1
    return twice * self.step_bytes * (self.group - 1) / self.group

  def of_dtype(self, dtype: str) -> int:
    """Return the bytes of the arrays of one dtype in one step."""
    found = (array.bytes for array in self.arrays if array.dtype == dtype)
    return self.times * sum(found)


@dataclasses.dataclass(frozen=True)
class CollectiveTotal:
  """Collectives of one step that are equal in kind, dtype, place and group.

  Attributes:
    kind: one of KINDS.
    dtype: dtype of the arrays.
    overlaps: whether computation goes on meanwhile.
    in_loop: whether they are in the body of a loop.
    crosses: whether they go from slice to slice.
    group: devices that take part together; slices if `crosses`.
    count: runs in one step.
    bytes: bytes of the whole arrays in one step.
    largest: bytes of the largest single run.
    wire_bytes: bytes that each device sends in one step.
  """

  kind: str
  dtype: str
  overlaps: bool
  in_loop: bool
  crosses: bool
  group: int
  count: int = 0
  bytes: int = 0
  largest: int = 0
  wire_bytes: float = 0.0


def find(
  module: Module, num_devices: int, num_slices: int = 1
) -> list[Collective]:
  """Return the collectives of a program, in order.

  Args:
    module: the parsed program.
    num_devices: devices of one slice.
    num_slices: slices that the program runs on.
  """
  asynchronous = _asynchronous(module)
  found: list[Collective] = []
  for name, computation in module.computations.items():
    runs = module.runs.get(name)
    if runs is None or not runs.times:
      continue
    found += [
      dataclasses.replace(
        one,
        times=runs.times,
        in_loop=runs.in_loop,
        overlaps=one.overlaps or name in asynchronous,
      )
      for one in (
        *_inside(name, computation, num_devices),
        *_between(computation, num_slices),
      )
    ]
  return [one for one in found if one.group > 1]


def by_kind(found: Iterable[Collective]) -> list[CollectiveTotal]:
  """Return a total for each kind and dtype, the most traffic first."""
  rows: dict[tuple[Any, ...], CollectiveTotal] = {}
  for one in found:
    for dtype in dict.fromkeys(array.dtype for array in one.arrays):
      key = (
        *(one.kind, dtype, one.overlaps, one.in_loop, one.crosses, one.group),
      )
      row = rows.get(key, CollectiveTotal(*key))
      part = one.of_dtype(dtype)
      rows[key] = dataclasses.replace(
        row,
        count=row.count + one.times,
        bytes=row.bytes + part,
        largest=max(row.largest, part // one.times),
        wire_bytes=row.wire_bytes
        + one.wire_bytes * part / max(one.step_bytes, 1),
      )
  return sorted(rows.values(), key=lambda row: -row.wire_bytes)


def group_size(attributes: str, num_devices: int) -> int:
  """Return how many devices take part together: all unless groups are given."""
  if match := _EXPLICIT.search(attributes):
    return len(match[1].split(",")) if match[1].strip() else num_devices
  if match := _IOTA.search(attributes):
    return int(match[2])
  if match := _MESH.search(attributes):
    sizes = dict(re.findall(r"'([^']+)'=(\d+)", match[1]))
    size = 1
    for name in re.findall(r"'([^']+)'", match[2]):
      size *= int(sizes.get(name, 1))
    return size
  return num_devices


def _inside(
  name: str, computation: Computation, num_devices: int
) -> Iterator[Collective]:
  """Yield the collectives inside slices of one computation, each one once."""
  calls = " ".join(
    each.attributes for each in computation if each.opcode == "custom-call"
  )
  # A collective that overlaps a chain of fusions is repeated in each of them.
  starts = '"AsyncCollectiveStart"' in calls
  goes_on = not starts and (
    name.startswith("async_collective_fusion")
    or '"AsyncCollectiveDone"' in calls
  )
  known = {each.name: each.result for each in computation}
  for place, instruction in enumerate(computation):
    kind = instruction.opcode.removesuffix("-start")
    if kind not in KINDS or goes_on:
      continue
    size = group_size(instruction.attributes, num_devices)
    begins = instruction.opcode.endswith("-start")
    yield Collective(
      kind=kind,
      name=instruction.name,
      arrays=_whole(instruction, kind, known, size),
      group=num_devices if kind == "collective-permute" else size,
      overlaps=starts
      or (begins and _works_until_done(computation, place, instruction.name)),
      scattered="all-reduce-scatter" in name,
    )


def _between(computation: Computation, num_slices: int) -> Iterator[Collective]:
  """Yield the transfers between slices."""
  received = {
    match[1]: each.name
    for each in computation
    if each.opcode == "recv" and (match := _RENDEZVOUS.search(each.attributes))
  }
  for place, instruction in enumerate(computation):
    kind = _TRANSFER.search(instruction.attributes)
    if instruction.opcode != "send" or not kind:
      continue
    rendezvous = _RENDEZVOUS.search(instruction.attributes)
    answer = received.get(rendezvous[1] if rendezvous else "", "")
    name = kind[1].lower().replace("_", "-")
    sent = instruction.result[0]
    if name == "all-gather":
      sent = sent._replace(shape=(num_slices, *sent.shape))
    yield Collective(
      kind=name,
      name=instruction.name,
      arrays=(sent,),
      group=num_slices,
      overlaps=_works_until_done(computation, place, answer),
      crosses=True,
    )


def _works_until_done(computation: Computation, place: int, name: str) -> bool:
  """Return whether computation comes before the end of what `name` started."""
  for instruction in computation[place + 1 :]:
    if instruction.opcode.endswith("-done") and name in instruction.operands:
      return False
    if instruction.opcode in _WORK and name not in instruction.operands:
      return True
  return False


def _asynchronous(module: Module) -> frozenset[str]:
  """Return the computations that an `async-start` runs."""
  return frozenset(
    called
    for computation in module.computations.values()
    for instruction in computation
    if instruction.opcode == "async-start"
    for _, called in instruction.calls()
  )


def _whole(
  instruction: Instruction,
  kind: str,
  known: Mapping[str, tuple[Array, ...]],
  group: int,
) -> tuple[Array, ...]:
  """Return the whole arrays: operands of a reduction, results of a gather."""
  given = tuple(
    array for name in instruction.operands for array in known.get(name, ())
  )
  if kind != "all-gather" and given:
    return given
  results = instruction.result
  if instruction.opcode.endswith("-start") and kind != "all-reduce":
    # (operands, results, contexts…)
    count = len(instruction.operands)
    results = results[count : 2 * count] or results
  if kind == "reduce-scatter":
    results = tuple(a._replace(shape=(group, *a.shape)) for a in results)
  return results
