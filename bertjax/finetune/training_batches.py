# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The batches that the trials of a run are trained on."""

from collections.abc import Callable

from jax.sharding import Mesh

from bertjax.batch import Batch, SplitData
from bertjax.config import FinetuneConfig
from bertjax.parallel.feeding import batch_shards

# Seeds whose batches say how many rows batches have. They are the same for any
# seeds of a run, so that more of them change no trial.
_SEEDS_OF_SHAPES = range(5)
# Estimates of how many steps of a small encoder take as long as to compile one,
# shared by a few trials: a step takes about a second on a CPU, and some
# milliseconds elsewhere.
_COMPILE_STEPS_CPU, _COMPILE_STEPS = 5, 1000


def training_batches(
  train: SplitData, config: FinetuneConfig, steps: int, mesh: Mesh
) -> Callable[[int, int], Batch]:
  """Return (seed, step) → the global training batch.

  Packed batches have one of a few sizes. That of the first step is the largest,
  so that what does not fit in memory fails there.

  Args:
    train: the training split.
    config: what the run does.
    steps: number of steps of a trial.
    mesh: devices that share the rows.
  """
  is_cpu = mesh.devices.flat[0].platform == "cpu"
  shapes = train.shapes(
    batch_size=config.batch_size,
    seeds=_SEEDS_OF_SHAPES,
    steps=steps,
    multiple=batch_shards(mesh) * config.optimizer.accumulation,
    compile_steps=_COMPILE_STEPS_CPU if is_cpu else _COMPILE_STEPS,
  )

  def training_batch(seed: int, step: int) -> Batch:
    return train.training(
      seed=seed,
      step=step,
      batch_size=config.batch_size,
      shapes=shapes if step else shapes[-1:],
    )

  return training_batch
