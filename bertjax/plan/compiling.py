# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One ahead-of-time compile, and everything that the result tells.

What an executable does not tell is None, with the reason in `notes`: some
pairs of jaxlib and libtpu cannot print the programs of some chips.
"""

import dataclasses
import pathlib
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from bertjax.config import PretrainConfig
from bertjax.plan.vocabulary import TOKENS, make_vocabulary
from bertjax.train.program import Program, make_program

_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# "Used 26.92G of 15.75G hbm", "memory required for HLO temporaries (30.88G)".
_USED = re.compile(
  r"(?:Used |memory required for HLO temporaries \()([\d.]+)([KMGT]?)"
)


@dataclasses.dataclass(frozen=True)
class Memory:
  """What one JAX device needs, in bytes.

  Attributes:
    arguments: state and batch.
    temporaries: what is alive only inside the step, all of it.
    peak: the most that is alive at once, arguments included; None where this
      is not told.
  """

  arguments: int
  temporaries: int
  peak: int | None


@dataclasses.dataclass(frozen=True)
class Executable:
  """What the compiler tells of a train step.

  Attributes:
    seconds: of tracing and compiling.
    memory: None if it does not fit.
    needed: bytes that it would use, where it does not fit.
    flops: of one device by the compiler's count, loop bodies once.
    bytes_accessed: likewise; also of what never leaves the chip.
    text: the optimised program; None where it cannot be had.
    notes: what could not be had, and why.
  """

  seconds: float
  memory: Memory | None
  needed: float | None = None
  flops: float | None = None
  bytes_accessed: float | None = None
  text: str | None = None
  notes: Sequence[str] = ()

  @property
  def compiles(self) -> bool:
    """Whether the compiler found room for it."""
    return self.memory is not None


def build(config: PretrainConfig, devices: Sequence[Any]) -> Program:
  """Return the program of a checked config over devices to compile for."""
  num_tokens = min(TOKENS, config.model.vocab_size)
  return make_program(config, make_vocabulary(num_tokens), devices)


def compile_step(program: Program, config: PretrainConfig) -> Executable:
  """Compile the train step of a phase; nothing runs.

  Args:
    program: laid over the devices to compile for.
    config: of a phase of its run, with `data.max_packs` filled in.
  """
  began = time.monotonic()
  abstract, phase = program.abstract_state(), program.for_phase(config)
  step: Any = phase.train_step(abstract)
  lowered = step.lower(abstract, phase.abstract_batch())
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


def find_needed(message: str) -> float | None:
  """Return the bytes that a compiler out of memory says it would use.

  None if it failed of something else; infinity if it does not tell.
  """
  found = _USED.search(message)
  if found:
    return float(found[1]) * _UNITS[found[2]]
  text = message.lower()
  out = "resource_exhausted" in text or "out of memory" in text
  return float("inf") if out else None


def read(
  compiled: Any, seconds: float, folder: pathlib.Path | None = None
) -> Executable:
  """Read what a compiled step tells.

  Args:
    compiled: by JAX.
    seconds: that it took.
    folder: where the compiler left what it made.
  """
  notes: list[str] = []
  memory = compiled.memory_analysis()
  cost = _try("FLOPs and bytes", compiled.cost_analysis, notes) or {}
  if isinstance(cost, list | tuple):
    cost = cost[0] if cost else {}
  peak = getattr(memory, "peak_memory_in_bytes", 0)
  return Executable(
    seconds=seconds,
    memory=Memory(
      arguments=int(memory.argument_size_in_bytes),
      temporaries=int(memory.temp_size_in_bytes),
      peak=int(peak) or None,
    ),
    # Not `optimal_seconds`, which is negative on TPUs.
    flops=cost.get("flops"),
    bytes_accessed=cost.get("bytes accessed"),
    text=read_text(compiled, notes, folder),
    notes=tuple(notes),
  )


def read_text(
  compiled: Any, notes: list[str], folder: pathlib.Path | None = None
) -> str | None:
  """Return the optimised program, in one of three ways; adds to `notes`.

  What the compiler itself left in `folder` comes first: jaxlib cannot print
  every program of a libtpu that is newer than itself.
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

  why: list[str] = []
  for print_text in (compiled.as_text, print_modules):
    text = _try("program", print_text, why)
    if text:
      return text
  notes.append(
    "collectives are not known, as this jaxlib cannot print what this libtpu "
    f"made: {why[0] if why else 'the program is empty'}"
  )
  return None


def _try(what: str, function: Callable[[], Any], notes: list[str]) -> Any:
  try:
    return function()
  except Exception as error:
    # Whatever a version lacks is not worth losing the rest for.
    line = " ".join(str(error).split())[:160]
    notes.append(f"{what} not told: {type(error).__name__}: {line}")
    return None
