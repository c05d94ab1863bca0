# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Results of a plan and of a search, and their JSON. No JAX here.

None means that the compiler does not report a number. `plan.json` holds the
fields of `Plan` or `Search` by name, and the version of this format.
"""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Self, cast, get_args, get_origin, get_type_hints

from bertjax.plan.hlo.collectives import CollectiveTotal

VERSION = 2  # version 1 has no field `version`
BOUND = (
  "Times and MFU are bounds, computed from the compiled program and the chip's "
  "peak rates: no run can be faster. They are not measurements."
)
Json = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class _Stored:
  """A result that is stored as `plan.json`."""

  def to_json(self) -> dict[str, Any]:
    """Return what `plan.json` holds."""
    return {"version": VERSION, **dataclasses.asdict(self)}

  @classmethod
  def from_json(cls, stored: Json) -> Self:
    """Read what `to_json` returned.

    Raises:
      ValueError: another version of the format.
    """
    fields = dict(stored)
    version = fields.pop("version", 1)
    if version != VERSION:
      raise ValueError(
        f"plan.json has version {version}, and this bertjax reads version "
        f"{VERSION}; run launch.plan again"
      )
    return _decode(cls, fields)


@dataclasses.dataclass(frozen=True)
class TopologyFacts:
  """A topology and the rates of one of its chips, in bytes a second.

  Attributes:
    name: such as `2 × v5e:16x16`.
    kind: kind of chip, a key of `hardware.chips.CHIPS`.
    shape: chips along each axis of a slice.
    num_slices: number of slices.
    chips: chips of all slices.
    devices: JAX devices of all slices.
    peak_flops: dense bfloat16 FLOP/s.
    hbm_bandwidth: bandwidth of the chip's memory.
    link_bandwidth: bandwidth of one link inside a slice, one way.
    dcn_bandwidth: bandwidth to other slices.
  """

  name: str
  kind: str
  shape: tuple[int, ...]
  num_slices: int
  chips: int
  devices: int
  peak_flops: float
  hbm_bandwidth: float
  link_bandwidth: float
  dcn_bandwidth: float


@dataclasses.dataclass(frozen=True)
class MemoryUse:
  """Memory of one JAX device during a step, in bytes.

  Attributes:
    fits: whether the compiler found room for the step.
    limit: bytes that a program may use.
    needed: bytes that the step needs.
    peak: the compiler's figure of what is alive at once, arguments included.
    by_kind: bytes by kind, see `memory.KINDS`; they add up to `needed`.
  """

  fits: bool
  limit: int
  needed: int | None
  peak: int | None
  by_kind: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Work:
  """FLOPs and bytes of one JAX device in one step.

  Attributes:
    formula_flops: model FLOPs by the formula of `train.flops`.
    products_flops: FLOPs of the matrix products in the compiled program.
    products_ratio: `products_flops` over `formula_flops`.
    counted_flops: FLOPs by the compiler's own count.
    counted_ratio: `counted_flops` over `formula_flops`.
    kernels: whether FLOPs of attention kernels were added by the formula.
    hbm_bytes: bytes to and from HBM, read from the compiled program.
    counted_bytes: bytes by the compiler's count, on-chip traffic included.
  """

  formula_flops: float
  products_flops: float | None
  products_ratio: float | None
  counted_flops: float | None
  counted_ratio: float | None
  kernels: bool
  hbm_bytes: int | None
  counted_bytes: float | None


@dataclasses.dataclass(frozen=True)
class StepTime:
  """Lower bounds in seconds; see `roofline.Bound` for the first four.

  Attributes:
    compute: matrix products.
    memory: traffic to and from HBM.
    overlapped: collectives that computation overlaps.
    exposed: collectives that the step waits for.
    step: the whole step.
    limited_by: the largest part.
    mfu: upper bound of the model FLOPs utilization.
    rows_per_second: upper bound of the global throughput.
  """

  compute: float
  memory: float
  overlapped: float
  exposed: float
  step: float
  limited_by: str
  mfu: float
  rows_per_second: float


@dataclasses.dataclass(frozen=True)
class PhasePlan:
  """Plan of one phase of a run.

  Attributes:
    steps: steps of the phase.
    seq_length: tokens a row.
    max_packs: packed examples a row.
    batch_size: rows of the global batch.
    rows_per_chip: rows of the global batch for each chip.
    accumulation: micro-batches a step.
    positions: tokens of the global batch, padding included.
    compile_seconds: time to trace and compile the step.
    memory: memory of one device in a train step.
    evaluation: memory of one device in a step of evaluation, the optimizer
      state included; None if it was not compiled.
    work: FLOPs and bytes; None if the step does not fit or cannot be read.
    collectives: totals of the collectives; None if the program cannot be read.
    time: bounds; None where `work` is None.
    notes: what is missing or inexact, and why.
  """

  steps: int
  seq_length: int
  max_packs: int
  batch_size: int
  rows_per_chip: float
  accumulation: int
  positions: int
  compile_seconds: float
  memory: MemoryUse
  work: Work | None = None
  collectives: tuple[CollectiveTotal, ...] | None = None
  time: StepTime | None = None
  notes: tuple[str, ...] = ()
  evaluation: MemoryUse | None = None

  @property
  def fits(self) -> bool:
    """Whether training and evaluation fit into the memory of a device."""
    return self.memory.fits and (
      self.evaluation is None or self.evaluation.fits
    )

  @property
  def largest(self) -> MemoryUse:
    """The memory of the step that needs more of it."""
    uses = [self.memory, *([self.evaluation] if self.evaluation else [])]
    return max(uses, key=lambda use: (not use.fits, use.needed or 0))

  def to_json(self) -> dict[str, Any]:
    """Return the fields by name."""
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, stored: Json) -> Self:
    """Read what `to_json` returned."""
    return _decode(cls, stored)


@dataclasses.dataclass(frozen=True)
class RunCost:
  """Lower bounds for a whole run, without evaluation and checkpoints.

  Attributes:
    steps: steps of all phases.
    positions: tokens of all batches, padding included.
    hours: hours of the run.
    chip_hours: hours × chips.
    price: chip-hours × their price; None if no price was given.
  """

  steps: int
  positions: int
  hours: float
  chip_hours: float
  price: float | None


@dataclasses.dataclass(frozen=True)
class Plan(_Stored):
  """Plan of a run on a topology.

  Attributes:
    topology: the chips.
    mesh: size of each axis of the mesh.
    parameters: number of parameters.
    config: resolved config of the run, as nested mappings.
    phases: a plan for each phase.
    run: cost of the whole run; None if a phase has no bound.
    notes: choices that a store would have made.
    bound: what the times mean.
  """

  topology: TopologyFacts
  mesh: Mapping[str, int]
  parameters: int
  config: Json
  phases: tuple[PhasePlan, ...]
  run: RunCost | None
  notes: tuple[str, ...] = ()
  bound: str = BOUND


@dataclasses.dataclass(frozen=True)
class Candidate:
  """The largest batch of one sharding and remat policy, and its bounds.

  Attributes:
    sharding: how parameters and batch are sharded.
    remat: remat policy.
    fits: whether any batch fits.
    batch_size: rows of the global batch.
    rows_per_chip: rows for each chip.
    needed: bytes that a device needs.
    limit: bytes that a program may use.
    step: seconds of a step, at least.
    rows_per_second: global throughput, at most.
    mfu: model FLOPs utilization, at most.
    limited_by: the largest part of the step.
    rows: rows of a micro-batch on each shard of the batch.
    accumulation: micro-batches of the global batch.
  """

  sharding: str
  remat: str
  fits: bool
  batch_size: int
  rows_per_chip: float
  needed: int | None
  limit: int
  step: float | None = None
  rows_per_second: float | None = None
  mfu: float | None = None
  limited_by: str | None = None
  rows: int = 1
  accumulation: int = 1


@dataclasses.dataclass(frozen=True)
class Search(_Stored):
  """Result of a search for the largest batch.

  Attributes:
    topology: the chips.
    config: the config that was given, as nested mappings.
    candidates: the best bound first, candidates that never fit last.
    notes: choices that a store would have made.
    bound: what the times mean.
  """

  topology: TopologyFacts
  config: Json
  candidates: tuple[Candidate, ...]
  notes: tuple[str, ...] = ()
  bound: str = BOUND


def _decode(kind: Any, value: Any) -> Any:
  """Return a JSON value as `kind`: a dataclass, a tuple, or as it is."""
  if isinstance(kind, types.UnionType):  # … | None
    kind = get_args(kind)[0]
  if value is not None and get_origin(kind) is tuple:
    return tuple(_decode(get_args(kind)[0], each) for each in value)
  if value is not None and dataclasses.is_dataclass(kind):
    hints: Any = get_type_hints(kind)
    fields = {name: _decode(hints[name], each) for name, each in value.items()}
    return cast("Any", kind)(**fields)
  return value
