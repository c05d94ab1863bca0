# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""What a train step costs that is compiled for TPUs, against what is recorded.

    python -m benchmarks.compiled_for_tpus
    python -m benchmarks.compiled_for_tpus --update --reason='why it costs more'

`compiled_steps` has the record of CPUs. This one compiles one of its steps, the
small BERT in bfloat16, for four chips that need not be there: FLOPs, bytes,
temporaries and collectives are those of TPUs' compiler. Prints what grew, and
exits with 1. Figures of other versions of jax and libtpu are not compared.
Needs libtpu: pip install 'bertjax[plan]'.
"""

import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from importlib import metadata

from absl import app, flags

from benchmarks import compiled_steps
from bertjax.plan import environment
from bertjax.plan.hardware import topologies

RECORD = pathlib.Path(__file__).with_suffix(".json")
_CASE = "bert_bfloat16"
_TOPOLOGY = "v5e:2x2"
# Enough that a chip's fast memory does not hold all temporaries.
_ROWS, _LENGTH = 1024, 128
CASE = f"{_CASE}, {_TOPOLOGY}"


def compiler() -> str:
  """Return what figures depend on beside the code."""
  names = ("jax", "libtpu")
  return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def measure() -> dict[str, dict[str, float]]:
  """Return the figures, measured in a process of its own.

  Raises:
    RuntimeError: the step does not compile.
  """
  done = subprocess.run(
    [sys.executable, "-m", "benchmarks.compiled_for_tpus", "--measure"],
    cwd=compiled_steps.ROOT,
    env={
      **{
        name: each for name, each in os.environ.items() if name != "XLA_FLAGS"
      },
      **environment.ENVIRONMENT,
      "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    },
    capture_output=True,
    text=True,
    check=False,
  )
  if done.returncode:
    raise RuntimeError(done.stderr)
  return {CASE: json.loads(done.stdout.splitlines()[-1])}


def measure_here() -> dict[str, float]:
  """Return the figures of one compile, in this process."""
  from bertjax.plan import compiling

  config = compiled_steps.make_configs()[_CASE]
  config = dataclasses.replace(
    config,
    batch_size=_ROWS,
    data=dataclasses.replace(config.data, seq_length=_LENGTH),
  )
  devices = topologies.get_devices(topologies.find(_TOPOLOGY))
  program = compiling.build(config, devices)
  phase = program.for_phase(config)
  compiled = phase.train_step.lower(
    program.abstract_state(), phase.abstract_batch()
  ).compile()
  return compiled_steps.of_program(compiled, len(devices))


def main(_: list[str]) -> None:
  """Measure, and compare or record."""
  if flags.FLAGS.measure:
    print(json.dumps(measure_here()))
    return
  if importlib.util.find_spec("libtpu") is None:
    sys.exit("error: libtpu is not installed: pip install 'bertjax[plan]'")
  compiled_steps.conclude(measure(), RECORD, compiler())


if __name__ == "__main__":
  compiled_steps.define_flags()
  app.run(main)
