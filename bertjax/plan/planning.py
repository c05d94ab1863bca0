# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a run on a topology: compiled, read, and reckoned from."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bertjax.config import PretrainConfig, to_mapping
from bertjax.config.phases import Phase
from bertjax.model.parameters import count_parameters
from bertjax.plan import compiling, cost, counting, memory, roofline
from bertjax.plan.hardware.topologies import Topology, get_devices
from bertjax.plan.hlo import collectives, parsing, products, traffic
from bertjax.train.program import Program

BOUND = (
  "Times and MFU are bounds reckoned from the compiled program and the chip's "
  "peaks: no run can be better. They are not measurements."
)
_UNKNOWN = (
  "neither the program nor a count of FLOPs and bytes can be had from this "
  "compiler, so that only memory is known and no time is bound"
)
# Told one line before each compile, which takes a minute or so.
Tell = Callable[[str], None]


def make_plan(
  config: PretrainConfig,
  phases: Sequence[Phase],
  topology: Topology,
  *,
  price_per_chip_hour: float | None = None,
  count: bool = True,
  tell: Tell = lambda line: None,
) -> dict[str, Any]:
  """Compile each phase of a run for a topology, and plan it.

  Args:
    config: resolved config of the run; no store is read.
    phases: its phases, with the attention kernel of each.
    topology: to compile for.
    price_per_chip_hour: in any currency.
    count: whether to have the compiler count too, in two more compiles.
    tell: is told what is about to be compiled.

  Returns:
    What JSON can hold; see `describe_phase` for each of `phases`.

  Raises:
    ValueError: a mistake of the user's, or libtpu cannot be had.
  """
  devices = get_devices(topology)
  program = compiling.build(config, devices)
  described = []
  for number, phase in enumerate(phases, 1):
    of = f" of phase {number}" if len(phases) > 1 else ""
    tell(f"compiling the train step{of} for {topology}")
    entry = describe_phase(program, phase, topology, devices, count=count)
    described.append(entry)
  bounded = all("time" in entry for entry in described)
  return {
    "bound": BOUND,
    "topology": describe_topology(topology),
    "mesh": dict(program.mesh.shape),
    "parameters": count_parameters(program.abstract_state().params),
    "config": to_mapping(config),
    "phases": described,
    "run": cost.of_run(
      [
        (entry["steps"], entry["positions"], entry["time"]["step"])
        for entry in described
      ],
      topology,
      price_per_chip_hour,
    )
    if bounded
    else None,
  }


def describe_topology(topology: Topology) -> dict[str, Any]:
  """Return a topology and its chip, as JSON has them."""
  chip = topology.chip
  return {
    "name": str(topology),
    "kind": topology.kind,
    "shape": list(topology.shape),
    "num_slices": topology.num_slices,
    "chips": topology.num_chips,
    "devices": topology.num_devices,
    "peak_flops": chip.peak_flops,
    "hbm_bandwidth": chip.hbm_bandwidth,
    "link_bandwidth": chip.link_bandwidth,
    "dcn_bandwidth": chip.dcn_bandwidth,
  }


def describe_phase(
  program: Program,
  phase: Phase,
  topology: Topology,
  devices: Sequence[Any],
  *,
  count: bool = True,
) -> dict[str, Any]:
  """Compile one phase; return what is known of it.

  Returns:
    Its shape; `compile_seconds`; `memory` of `memory.describe`; and where it
    fits `work`, `collectives` (None where they cannot be read) and `time`,
    unless the compiler tells neither its program nor a count, as `notes` say.
  """
  config = phase.config
  executable = compiling.compile_step(program, config)
  entry: dict[str, Any] = {
    "steps": phase.stop - phase.start,
    "seq_length": config.data.seq_length,
    "max_packs": config.data.max_packs,
    "batch_size": config.batch_size,
    "rows_per_chip": config.batch_size / topology.num_chips,
    "accumulation": config.optimizer.accumulation,
    "positions": phase.positions,
    "compile_seconds": executable.seconds,
    "memory": memory.describe(
      program.abstract_state(),
      program.for_phase(config).abstract_batch(),
      executable,
      topology,
    ),
    "notes": list(executable.notes),
  }
  if not executable.compiles:
    return entry
  text, counted = executable.text, None
  if count or text is None:
    counted = counting.count_unrolled(config, devices)
  if text is None and counted is None:
    entry["notes"].append(_UNKNOWN)
    return entry
  reckoned = reckon(config, topology, text, counted)
  notes = [*entry["notes"], *reckoned.pop("notes")]
  return {**entry, **reckoned, "notes": notes}


def reckon(
  config: PretrainConfig,
  topology: Topology,
  text: str | None,
  counted: tuple[float, float] | None,
) -> dict[str, Any]:
  """Return `work`, `collectives`, `time` and `notes` of a step that fits.

  Args:
    config: of a phase.
    topology: that it is compiled for.
    text: of the optimised program, or None.
    counted: of `counting.count_unrolled`; not None where there is no text.
  """
  module = None if text is None else parsing.parse(text)
  found: list[collectives.Collective] | None = None
  if module is not None:
    devices, slices = topology.num_devices, topology.num_slices
    found = collectives.find(module, devices // slices, slices)
  work = _count(config, topology, module, counted)
  bound = roofline.bound(
    topology,
    found or (),
    flops=work["products_flops"] or work["counted_flops"],
    hbm_bytes=work["hbm_bytes"] or work["counted_bytes"],
  )
  notes = []
  if counted is not None and config.optimizer.accumulation > 1:
    notes.append(
      "the compiler's count has the optimizer and what joins gradients once "
      f"for each of {config.optimizer.accumulation} micro-batches, not once: "
      "it is too large"
    )
  if module is not None and module.uncounted:
    notes.append(
      f"the passes of {len(module.uncounted)} loops are not told: what they "
      "compute, move and send counts once, which is too little"
    )
  if module is not None and module.unreached:
    notes.append(
      f"{len(module.unreached)} computations of the program are not understood "
      "and not counted, so that FLOPs, traffic and collectives are too few"
    )
  chip = topology.chip
  useful = work["formula_flops"] * chip.devices / chip.peak_flops
  return {
    "work": work,
    "collectives": None if found is None else collectives.by_kind(found),
    "time": {
      **dataclasses.asdict(bound),
      "step": bound.step,
      "limited_by": bound.limited_by,
      "mfu": useful / bound.step,
      "rows_per_second": config.batch_size / bound.step,
    },
    "notes": notes,
  }


def _count(
  config: PretrainConfig,
  topology: Topology,
  module: parsing.Module | None,
  counted: tuple[float, float] | None,
) -> dict[str, Any]:
  """FLOPs and bytes of one device, each in the ways that there are."""
  formula = counting.formula_flops(config) / topology.num_devices
  products_flops, hbm_bytes, hidden = None, None, 0.0
  if module is not None:
    if products.has_kernels(module):
      # What the compiler cannot look into is counted by the formula.
      hidden = counting.attention_flops(config) / topology.num_devices
    products_flops = products.matmul_flops(module) + hidden
    hbm_bytes = traffic.hbm_bytes(module)
  counted_flops = counted[0] + hidden if counted else None
  return {
    "formula_flops": formula,
    "products_flops": products_flops,
    "products_ratio": products_flops and products_flops / formula,
    "counted_flops": counted_flops,
    "counted_ratio": counted_flops and counted_flops / formula,
    "kernels": bool(hidden),
    "hbm_bytes": hbm_bytes,
    "counted_bytes": counted[1] if counted else None,
  }
