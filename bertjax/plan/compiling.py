# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One ahead-of-time compile, and everything that the compiler reports.

A number that the compiler does not report is None, with the reason in `notes`:
some versions of jaxlib cannot print what some versions of libtpu compile.
"""

import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from bertjax.config import PretrainConfig
from bertjax.plan.vocabulary import TOKENS, make_vocabulary
from bertjax.train.memory import find_needed
from bertjax.train.program import Program, make_program


@dataclasses.dataclass(frozen=True)
class CompilerMemory:
  """Memory of one JAX device as the compiler reports it, in bytes.

  Attributes:
    arguments: state and batch.
    temporaries: all arrays that are alive only inside the step.
    peak: the most that is alive at once, arguments included; None if the
      compiler does not report it.
  """

  arguments: int
  temporaries: int
  peak: int | None


@dataclasses.dataclass(frozen=True)
class Executable:
  """What the compiler reports about a train step.

  Attributes:
    seconds: time to trace and compile.
    memory: memory of one device; None if the step does not fit.
    needed: bytes that a step that does not fit would use.
    flops: FLOPs of one device by the compiler's count, loop bodies once.
    bytes_accessed: bytes by the same count, on-chip traffic included.
    text: the optimized program; None if it cannot be printed.
    notes: what is missing, and why.
  """

  seconds: float
  memory: CompilerMemory | None
  needed: float | None = None
  flops: float | None = None
  bytes_accessed: float | None = None
  text: str | None = None
  notes: Sequence[str] = ()

  @property
  def compiles(self) -> bool:
    """Whether the compiler found room for the step."""
    return self.memory is not None


def build(config: PretrainConfig, devices: Sequence[Any]) -> Program:
  """Return the program of a resolved config over devices to compile for."""
  num_tokens = min(TOKENS, config.model.vocab_size)
  return make_program(config, make_vocabulary(num_tokens), devices)


def compile_step(program: Program, config: PretrainConfig) -> Executable:
  """Compile the train step of a phase; nothing runs.

  Args:
    program: program over the devices to compile for.
    config: resolved config of the phase.
  """
  abstract, phase = program.abstract_state(), program.for_phase(config)
  return _compile(phase.train_step, abstract, phase.abstract_batch())


def compile_evaluation(program: Program, config: PretrainConfig) -> Executable:
  """Compile the step of evaluation of a phase, like `compile_step`."""
  phase = program.for_phase(config)
  batch = phase.abstract_batch(phase.evaluation_batch_size)
  return _compile(phase.eval_step, program.abstract_state().params, batch)


def _compile(step: Any, *inputs: Any) -> Executable:
  began = time.monotonic()
  lowered = step.lower(*inputs)
  with tempfile.TemporaryDirectory() as folder:
    try:
      compiled = lowered.compile(
        compiler_options={"xla_dump_to": folder, "xla_dump_hlo_as_text": True}
      )
    except Exception as error:
      needed = find_needed(str(error))
      if needed is None:
        raise
      return Executable(time.monotonic() - began, None, needed)
    return read(compiled, time.monotonic() - began, pathlib.Path(folder))


def read(
  compiled: Any, seconds: float, folder: pathlib.Path | None = None
) -> Executable:
  """Read everything that a compiled step reports.

  Args:
    compiled: result of JAX's `compile`.
    seconds: time that the compile took.
    folder: where the compiler dumped the program.
  """
  notes: list[str] = []
  memory = compiled.memory_analysis()
  cost = _try("FLOPs and bytes", compiled.cost_analysis, notes) or {}
  if isinstance(cost, list | tuple):
    cost = cost[0] if cost else {}
  peak = getattr(memory, "peak_memory_in_bytes", 0)
  return Executable(
    seconds=seconds,
    memory=CompilerMemory(
      arguments=int(memory.argument_size_in_bytes),
      temporaries=int(memory.temp_size_in_bytes),
      peak=int(peak) or None,
    ),
    # `optimal_seconds` is not read: it is negative on TPUs.
    flops=cost.get("flops"),
    bytes_accessed=cost.get("bytes accessed"),
    text=read_text(compiled, notes, folder),
    notes=tuple(notes),
  )


def read_text(
  compiled: Any, notes: list[str], folder: pathlib.Path | None = None
) -> str | None:
  """Return the optimized program, or None; a reason is added to `notes`.

  The compiler's own dump in `folder` is read first: jaxlib cannot print every
  program of a libtpu that is newer than itself.
  """
  dumped = sorted(
    folder.glob("*.after_optimizations.txt") if folder else (),
    key=lambda path: path.stat().st_size,
  )
  if dumped:
    return dumped[-1].read_text(encoding="utf-8", errors="replace")

  def print_modules() -> str:
    modules = compiled.runtime_executable().hlo_modules()
    return "\n".join(module.to_string() for module in modules)

  reasons: list[str] = []
  for print_text in (compiled.as_text, print_modules):
    text = _try("program", print_text, reasons)
    if text:
      return text
  notes.append(
    "collectives are unknown, because this jaxlib cannot print a program of "
    f"this libtpu: {reasons[0] if reasons else 'the program is empty'}"
  )
  return None


def _try(what: str, function: Callable[[], Any], notes: list[str]) -> Any:
  """Return what `function` returns; an error becomes a note and None."""
  try:
    return function()
  except Exception as error:
    # One answer that a version lacks must not cost the other answers.
    line = " ".join(str(error).split())[:160]
    notes.append(f"{what} unknown: {type(error).__name__}: {line}")
    return None
