# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A few steps of a run on a mesh, here or as one of several processes.

python -m tests.testing.processes PORT NUMBER COUNT STORE OUTPUT [LAYOUT]

Feeds a batch by every layout, and trains on LAYOUT where it is given.
"""

import dataclasses
import faulthandler
import json
import pathlib
import sys

import jax
import numpy as np

from bertjax.config import MeshConfig, ModelConfig
from bertjax.parallel import feeding, sharding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import loop
from bertjax.train.hooks import Hook
from data_pipelines.rows.pipeline import train_iterator
from launch.run import assembly
from tests.testing import corpus

STEPS = 2
SECONDS = 300
BATCH = 8
# Name → a mesh: its axes, and the order of the four devices in it. Devices 0
# and 1 are one process, 2 and 3 the other.
LAYOUTS = {
  "tensor over both": (MeshConfig(data=1, tensor=4), (0, 1, 2, 3)),
  "tensor pairs over both": (MeshConfig(data=2, tensor=2), (0, 2, 1, 3)),
  "data over both": (MeshConfig(data=4), (0, 1, 2, 3)),
  "data in turns": (MeshConfig(data=4), (0, 2, 1, 3)),
}
# Compiling takes the time, so only this layout is ever trained on.
TRAINED = "tensor pairs over both"
ALONE = (MeshConfig(), (0,))


class Losses(Hook):
  """Keeps the loss of every step."""

  def __init__(self):
    self.values = []

  def record(self, record):
    self.values.append(record.metrics["loss"][0])


def make_config(store, mesh):
  return corpus.make_config(
    store,
    batch_size=BATCH,
    mesh=mesh,
    model=ModelConfig(
      num_layers=1,
      hidden_size=16,
      num_heads=4,
      intermediate_size=32,
      vocab_size=0,
      max_positions=32,
      hidden_dropout_rate=0.0,
      attention_dropout_rate=0.0,
    ),
  )


def make_parts(store, mesh, order, devices):
  """Return the parts of a run on these devices, in this order."""
  # `assemble` checks a mesh against all devices; the real one comes after.
  parts = assembly.assemble(make_config(store, MeshConfig(data=-1)))
  made = make_mesh(mesh, [devices[at] for at in order])
  program = dataclasses.replace(parts.program, mesh=made)
  return dataclasses.replace(parts, program=program)


def feed(parts):
  """Return the rows that are fed, the batch, and its shards on the devices."""
  rows = feeding.local_rows(parts.program.mesh, BATCH)
  batch = parts.phases[0].pipeline.batch(STEPS, rows)
  placed = feeding.put_batch(batch, parts.program.mesh)["tokens_BS"]
  return {
    "rows": [rows.start, rows.stop],
    "tokens": batch["tokens_BS"].tolist(),
    "shape": placed.shape,
    "shards": [
      [shard.index[0].indices(BATCH)[:2], np.asarray(shard.data).tolist()]
      for shard in placed.addressable_shards
    ],
  }


def train(parts):
  """Return losses and parameters after some steps."""
  phase, losses = parts.phases[0], Losses()
  fresh = parts.program.make_state()
  trained = loop.train(
    fresh,
    train_step=parts.program.for_phase(phase.config).train_step,
    batches=lambda start: train_iterator(
      phase.pipeline, start, rows=feeding.local_rows(parts.program.mesh, BATCH)
    ),
    steps=STEPS,
    mesh=parts.program.mesh,
    hooks=[losses],
  )
  gather = jax.jit(
    lambda params: params, out_shardings=sharding.replicated(parts.program.mesh)
  )
  return {
    "losses": losses.values,
    "params": [
      np.asarray(leaf.addressable_data(0)).ravel().tolist()
      for leaf in jax.tree.leaves(gather(trained.params))
    ],
  }


def main():
  port, number, count, store, output, *trained = sys.argv[1:]
  # Exit whatever the other processes do, and print where this one hung.
  faulthandler.dump_traceback_later(SECONDS, exit=True)
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  jax.distributed.initialize(
    f"127.0.0.1:{port}",
    int(count),
    int(number),
    initialization_timeout=120,
    shutdown_timeout_seconds=15,
  )
  results = {}
  for name, layout in LAYOUTS.items():
    print(name, flush=True)
    parts = make_parts(store, *layout, jax.devices())
    results[name] = feed(parts)
    if name in trained:
      results[name] |= train(parts)
  pathlib.Path(output).write_text(json.dumps(results))
  jax.distributed.shutdown()


if __name__ == "__main__":
  main()
