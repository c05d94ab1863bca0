# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plan a run on a topology: compile each phase, and compute its bounds."""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from bertjax.config import PretrainConfig, to_mapping
from bertjax.config.phases import Phase
from bertjax.model.parameters import count_parameters
from bertjax.plan import compiling, cost, counting, memory, roofline
from bertjax.plan.hardware.topologies import Topology, get_devices
from bertjax.plan.hlo import collectives, parsing, products, traffic
from bertjax.plan.results import (
  MemoryUse,
  PhasePlan,
  Plan,
  StepTime,
  TopologyFacts,
  Work,
)
from bertjax.train import flops
from bertjax.train.program import Program

_UNKNOWN = (
  "this compiler gives neither the program nor a count of FLOPs and bytes, so "
  "that memory is all that is known, and no time can be bounded"
)
# Prints one line before each compile, which takes about a minute.
Report = Callable[[str], None]


def make_plan(
  config: PretrainConfig,
  phases: Sequence[Phase],
  topology: Topology,
  *,
  notes: Sequence[str] = (),
  price_per_chip_hour: float | None = None,
  count: bool = True,
  report: Report = lambda line: None,
) -> Plan:
  """Compile each phase of a run for a topology, and plan it.

  Args:
    config: resolved config of the run; no store is read.
    phases: its phases, with the attention kernel of each.
    topology: the chips to compile for.
    notes: choices that a store would have made.
    price_per_chip_hour: in any currency.
    count: also ask the compiler for its own count, in two more compiles.
    report: called with a line about each compile before it starts.

  Raises:
    ValueError: libtpu is missing or does not know the topology.
  """
  devices = get_devices(topology)
  program = compiling.build(config, devices)
  planned = []
  for number, phase in enumerate(phases, 1):
    which = f" of phase {number}" if len(phases) > 1 else ""
    report(f"compiling the train step and the evaluation{which} for {topology}")
    planned.append(plan_phase(program, phase, topology, devices, count=count))
  times = [
    (each.steps, each.positions, each.time.step)
    for each in planned
    if each.time is not None
  ]
  return Plan(
    topology=describe_topology(topology),
    mesh=dict(program.mesh.shape),
    parameters=count_parameters(program.abstract_state().params),
    config=to_mapping(config),
    phases=tuple(planned),
    run=cost.of_run(times, topology, price_per_chip_hour)
    if len(times) == len(planned)
    else None,
    notes=tuple(notes),
  )


def describe_topology(topology: Topology) -> TopologyFacts:
  """Return the numbers of a topology and its chip."""
  chip = topology.chip
  return TopologyFacts(
    name=str(topology),
    kind=topology.kind,
    shape=topology.shape,
    num_slices=topology.num_slices,
    chips=topology.num_chips,
    devices=topology.num_devices,
    peak_flops=chip.peak_flops,
    hbm_bandwidth=chip.hbm_bandwidth,
    link_bandwidth=chip.link_bandwidth,
    dcn_bandwidth=chip.dcn_bandwidth,
  )


def plan_phase(
  program: Program,
  phase: Phase,
  topology: Topology,
  devices: Sequence[Any],
  *,
  count: bool = True,
  evaluation: bool = True,
) -> PhasePlan:
  """Compile the steps of a phase, and plan them.

  The compiler counts FLOPs and bytes if `count` is true, or if its program
  cannot be read. With `evaluation`, the memory of evaluation is planned as
  well, in a compile of its own.
  """
  config = phase.config
  executable = compiling.compile_step(program, config)
  plan = PhasePlan(
    steps=phase.stop - phase.start,
    seq_length=config.data.seq_length,
    max_packs=config.data.max_packs,
    batch_size=config.batch_size,
    rows_per_chip=config.batch_size / topology.num_chips,
    accumulation=config.optimizer.accumulation,
    positions=phase.positions,
    compile_seconds=executable.seconds,
    memory=memory.describe(
      program.abstract_state(),
      program.for_phase(config).abstract_batch(),
      executable,
      topology,
    ),
    notes=tuple(executable.notes),
    evaluation=_evaluation(program, config, topology) if evaluation else None,
  )
  if not executable.compiles:
    return plan
  text, counted = executable.text, None
  if count or text is None:
    counted = counting.count_unrolled(config, devices)
  if text is None and counted is None:
    return dataclasses.replace(plan, notes=(*plan.notes, _UNKNOWN))
  return add_bounds(plan, config, topology, text, counted)


def _evaluation(
  program: Program, config: PretrainConfig, topology: Topology
) -> MemoryUse:
  phase = program.for_phase(config)
  return memory.describe_evaluation(
    program.abstract_state(),
    phase.abstract_batch(phase.evaluation_batch_size),
    compiling.compile_evaluation(program, config),
    topology,
  )


def add_bounds(
  plan: PhasePlan,
  config: PretrainConfig,
  topology: Topology,
  text: str | None,
  counted: tuple[float, float] | None,
) -> PhasePlan:
  """Return the plan of a step that fits with work, collectives and times.

  Args:
    plan: the plan so far.
    config: config of the phase.
    topology: the chips that the step was compiled for.
    text: the optimized program, or None.
    counted: result of `counting.count_unrolled`; not None if `text` is None.
  """
  module = None
  if text is not None:
    module = parsing.parse(text, _share_of_global_layers(config))
  found: list[collectives.Collective] | None = None
  if module is not None:
    devices, slices = topology.num_devices, topology.num_slices
    found = collectives.find(module, devices // slices, slices)
  work = _count(config, topology, module, counted)
  bound = roofline.bound_work(topology, found or (), work)
  chip = topology.chip
  useful = work.formula_flops * chip.devices / chip.peak_flops
  return dataclasses.replace(
    plan,
    work=work,
    collectives=None if found is None else tuple(collectives.by_kind(found)),
    time=StepTime(
      **dataclasses.asdict(bound),
      step=bound.step,
      limited_by=bound.limited_by,
      mfu=useful / bound.step,
      rows_per_second=config.batch_size / bound.step,
    ),
    notes=(*plan.notes, *_notes(config, module, counted)),
  )


def _share_of_global_layers(config: PretrainConfig) -> Fraction | None:
  """Return the layers that attend to whole examples, of all.

  Returns:
    None where no layer chooses a kernel, which is all that a step chooses.
  """
  model = config.model
  if flops.kernel_reach(model, config.compute) is None:
    return None
  return Fraction(flops.global_layers(model), model.num_layers)


def _notes(
  config: PretrainConfig,
  module: parsing.Module | None,
  counted: tuple[float, float] | None,
) -> list[str]:
  """Return what makes a count inexact, and in which direction."""
  notes = []
  if counted is not None and config.optimizer.accumulation > 1:
    notes.append(
      "the compiler's count is too large: it has the optimizer and the "
      "reduction of gradients once for each of "
      f"{config.optimizer.accumulation} micro-batches instead of once a step"
    )
  if _share_of_global_layers(config) is not None and counted is not None:
    notes.append(
      "the compiler's count of bytes is too large: each layer runs one of two "
      "attention kernels, to whole examples or within windows, and it counts "
      "both"
    )
  if module is not None and module.uncounted:
    notes.append(
      f"the number of iterations of {len(module.uncounted)} loops is not "
      "known: their FLOPs, traffic and collectives are counted once, which is "
      "too little"
    )
  if module is not None and module.unreached:
    notes.append(
      f"{len(module.unreached)} computations of the program are not reached "
      "from its entry and not counted: FLOPs, traffic and collectives are too "
      "few"
    )
  return notes


def _count(
  config: PretrainConfig,
  topology: Topology,
  module: parsing.Module | None,
  counted: tuple[float, float] | None,
) -> Work:
  """Return FLOPs and bytes of one device, by each method that is available."""
  formula = counting.formula_flops(config) / topology.num_devices
  products_flops, hbm_bytes, hidden = None, None, 0.0
  if module is not None:
    if products.has_kernels(module):
      # The compiler cannot look into a Pallas kernel: the formula counts it.
      hidden = counting.attention_flops(config) / topology.num_devices
    products_flops = products.matmul_flops(module) + hidden
    hbm_bytes = traffic.hbm_bytes(module)
  counted_flops = counted[0] + hidden if counted else None
  return Work(
    formula_flops=formula,
    products_flops=products_flops,
    products_ratio=products_flops and products_flops / formula,
    counted_flops=counted_flops,
    counted_ratio=counted_flops and counted_flops / formula,
    kernels=bool(hidden),
    hbm_bytes=hbm_bytes,
    counted_bytes=counted[1] if counted else None,
  )
