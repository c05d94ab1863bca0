# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The batches that the trials of a run are trained on."""

from collections.abc import Callable

from jax.sharding import Mesh

from bertjax.batch import Batch, SplitData
from bertjax.config import FinetuneConfig, ModelConfig
from bertjax.parallel.feeding import batch_shards
from bertjax.train.flops import full_counts, train_flops

# Seeds whose batches say how many rows batches have. They are the same for any
# seeds of a run, so that more of them change no trial.
_SEEDS_OF_SHAPES = range(5)
# FLOPs that a device computes in the time that it takes to compile a train
# step, for each of the few trials that share it: some 4 s at 90 GFLOP/s on the
# two cores of a CPU for two trials, and 20 s at 50 TFLOP/s for four elsewhere.
_COMPILE_FLOPS_CPU, _COMPILE_FLOPS = 2e11, 2.5e14


def training_batches(
  train: SplitData,
  model: ModelConfig,
  config: FinetuneConfig,
  steps: int,
  mesh: Mesh,
) -> Callable[[int, int], Batch]:
  """Return (seed, step) → the global training batch.

  Packed batches have one of a few sizes. That of the first step is the largest,
  so that what does not fit in memory fails there.

  Args:
    train: the training split.
    model: shape of the encoder.
    config: what the run does.
    steps: number of steps of a trial.
    mesh: devices that share the rows.
  """
  is_cpu = mesh.devices.flat[0].platform == "cpu"
  row_flops = train_flops(model, full_counts(1, config.seq_length), 0)
  shapes = train.shapes(
    batch_size=config.batch_size,
    seeds=_SEEDS_OF_SHAPES,
    steps=steps,
    multiple=batch_shards(mesh) * config.optimizer.accumulation,
    compile_rows=(_COMPILE_FLOPS_CPU if is_cpu else _COMPILE_FLOPS) / row_flops,
  )

  def training_batch(seed: int, step: int) -> Batch:
    return train.training(
      seed=seed,
      step=step,
      batch_size=config.batch_size,
      shapes=shapes if step else shapes[-1:],
    )

  return training_batch
