# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How long a restart takes until its first step can run.

    python -m benchmarks.restart [--size=base]

Processes of their own compile the step of a run (cold), load the kept program
(warm: it is traced and lowered again), read a checkpoint (from the memory of
the system, since it was just written), and do the last two at once as
`launch.pretrain` does when it is started again. Imports do not count.
"""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks import figures
from launch import cli

ROOT = pathlib.Path(__file__).parents[1]
SIZE = flags.DEFINE_string("size", "base", "Shape of the model.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns, whose median counts.")
LAYERS = flags.DEFINE_integer("layers", 0, "Layers; 0: those of the size.")
DO = flags.DEFINE_string("do", "", "Only do this in FOLDER, and say how long.")
FOLDER = flags.DEFINE_string("folder", "", "Folder of --do.")
SAVE, COMPILE, READ, BOTH = "save", "compile", "read", "both"


def do(what: str, folder: pathlib.Path) -> float:
  """Do a part of a restart; return its seconds."""
  import jax

  from benchmarks import steps
  from bertjax.checkpoints.checkpoint import Checkpoints
  from bertjax.config import (
    SIZES,
    CheckpointConfig,
    ComputeConfig,
    DataConfig,
    PretrainConfig,
  )
  from bertjax.train import memory
  from bertjax.train.program import make_program
  from launch.run import ahead

  model = dataclasses.replace(SIZES[SIZE.value], vocab_size=30_522)
  if LAYERS.value:
    model = dataclasses.replace(model, num_layers=LAYERS.value)
  config = PretrainConfig(
    batch_size=8,
    model=model,
    data=DataConfig(seq_length=128, max_packs=1),
    compute=ComputeConfig(attention="xla"),
  )
  program = make_program(config, steps.make_vocabulary(model.vocab_size))
  phase = program.for_phase(config)
  state, batch = program.abstract_state(), phase.abstract_batch()
  checkpoints = Checkpoints(folder / "checkpoints", CheckpointConfig())

  def compile_step() -> None:
    memory.step_bytes(phase.train_step, state, batch)

  def read() -> None:
    restored = checkpoints.restore(state)
    assert restored is not None
    jax.block_until_ready(restored.state)

  made = program.make_state() if what == SAVE else None
  began = time.perf_counter()
  if made is not None:
    checkpoints.save(made, 1, {})
    checkpoints.close()
  elif what == COMPILE:
    compile_step()
  elif what == READ:
    read()
  else:
    with ahead.working(compile_step):
      read()
  seconds = time.perf_counter() - began
  checkpoints.close()
  return seconds


def measure(what: str, folder: pathlib.Path) -> float:
  """Return the seconds of `do` in another process."""
  variables = {
    "JAX_COMPILATION_CACHE_DIR": str(folder / "programs"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
  }
  done = subprocess.run(
    [
      *(sys.executable, "-m", "benchmarks.restart", f"--do={what}"),
      *(f"--folder={folder}", f"--size={SIZE.value}"),
      f"--layers={LAYERS.value}",
    ],
    cwd=ROOT,
    env={"JAX_PLATFORMS": "cpu", **os.environ, **variables},
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def compare(folder: pathlib.Path) -> None:
  """Print the seconds of each part, and what the overlap leaves."""
  measure(SAVE, folder)
  cold = measure(COMPILE, folder)
  parts = (COMPILE, READ, BOTH)
  spent: dict[str, list[float]] = {what: [] for what in parts}
  for _ in range(ROUNDS.value):
    for what in parts:
      spent[what].append(measure(what, folder))
  warm, read, both = (statistics.median(spent[what]) for what in parts)
  beyond = both - max(warm, read)
  print(
    f"BERT-{SIZE.value}: compiled in {cold:.2f} s, a kept program is ready in "
    f"{warm:.2f} s, a checkpoint is read in {read:.2f} s; both at once take "
    f"{both:.2f} s, {beyond:.2f} s beyond the longer"
  )
  name = f"restart of BERT-{SIZE.value}"
  figures.record(
    figures.Figure(f"{name}, compiled", cold, "s"),
    figures.Figure(f"{name}, kept program", warm, "s", cold, "compiled"),
    figures.Figure(
      f"{name}, reading too", both, "s", warm + read, "one after the other"
    ),
    figures.Figure(f"{name}, beyond the longer of the two", beyond, "s"),
  )


def main(_: object) -> None:
  """Measure in a folder that is removed afterwards."""
  if DO.value:
    print(json.dumps(do(DO.value, pathlib.Path(FOLDER.value))))
    return
  with tempfile.TemporaryDirectory() as folder:
    compare(pathlib.Path(folder))


if __name__ == "__main__":
  cli.run(main)
