# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The processor of this machine, and how it multiplies integers of 8 bits.

Speed and, with weights of 8 bits, results of a quantized model depend on it.
"""

import dataclasses
import os
import pathlib
import platform

_CPUINFO = pathlib.Path("/proc/cpuinfo")
# Flags of Linux → names of the instructions: x86 first, then ARM.
_INSTRUCTIONS = {
  "amx_int8": "AMX",
  "avx512_vnni": "AVX-512 VNNI",
  "avx_vnni": "AVX VNNI",
  "i8mm": "I8MM",
  "asimddp": "dot product",
}


@dataclasses.dataclass(frozen=True)
class Processor:
  """A processor.

  Attributes:
    name: its name, as the system gives it.
    cores: number of cores that this process may use.
    instructions: names of its instructions for products of 8 bits; empty where
      it has none, None where the system does not say.
  """

  name: str
  cores: int
  instructions: tuple[str, ...] | None

  def __str__(self) -> str:
    """Return the processor as a phrase."""
    if self.instructions is None:
      integers = "unknown instructions for int8"
    elif self.instructions:
      integers = f"int8 by {', '.join(self.instructions)}"
    else:
      integers = "no instructions for int8 (VNNI, AMX)"
    return f"{self.name}, {self.cores} cores, {integers}"


def describe(cpuinfo: pathlib.Path = _CPUINFO) -> Processor:
  """Return the processor of this machine."""
  count = getattr(os, "sched_getaffinity", None)
  cores = len(count(0)) if count else os.cpu_count() or 1
  name, instructions = platform.processor() or platform.machine(), None
  if cpuinfo.is_file():
    fields = dict(
      [part.strip() for part in line.split(":", 1)]
      for line in cpuinfo.read_text(encoding="utf-8").splitlines()
      if ":" in line
    )
    name = fields.get("model name", name)
    found = fields.get("flags", fields.get("Features", "")).split()
    instructions = tuple(
      title for flag, title in _INSTRUCTIONS.items() if flag in found
    )
  return Processor(name, cores, instructions)
