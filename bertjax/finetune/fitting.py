# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What trials need of a device's memory, and how many fit at once.

The compiler tells what a step needs; what stays on the device beside it is
added here, the same for those who choose a number of runs and who judge it.
"""

import logging
from collections.abc import Sequence

import jax

from bertjax.finetune.programs import local_part
from bertjax.finetune.together import training_batch
from bertjax.finetune.trial import TrialInputs
from bertjax.parallel import feeding, multihost
from bertjax.train import joint, memory

logger = logging.getLogger(__name__)
# Share of a device's memory that runs may take, as the compiler counts it.
_MEMORY_SHARE = 0.9


def count_that_fits(
  inputs: TrialInputs, seeds: Sequence[int], limit: int | None = None
) -> int:
  """Return how many trials to train at once: one on CPUs, else what fits.

  Several at once take as long as one after another where a single one keeps the
  device busy, as it does a CPU (`benchmarks/finetuning.py`). All processes of
  a run call this, and get the number that fits on each of them.

  Args:
    inputs: data and programs.
    seeds: seeds of the trials that are left.
    limit: bytes of a device; None asks the devices. Where they do not know,
      all fit.
  """
  mesh = inputs.programs.mesh
  if mesh.devices.flat[0].platform == "cpu" and limit is None:
    return 1
  known = multihost.all_gather(
    "device memory", limit or memory.device_bytes(mesh)
  )
  smallest = min((each for each in known if each), default=0)
  count = len(seeds)
  while smallest and count > 1:
    # Compilers of two hosts may differ, and their programs must not.
    needed = max(
      multihost.all_gather(
        "memory of runs", needed_bytes(inputs, seeds[:count])
      )
    )
    if needed <= _MEMORY_SHARE * smallest:
      break
    logger.info(
      "%d runs at once need %.2f GB of the %.2f GB of a device",
      count,
      needed / 1e9,
      smallest / 1e9,
    )
    count = -(-count // 2)
  return count


def needed_bytes(inputs: TrialInputs, seeds: Sequence[int]) -> float:
  """Return the bytes of a device that trials need where they need most."""
  return max(train_bytes(inputs, seeds), evaluation_bytes(inputs, len(seeds)))


def train_bytes(inputs: TrialInputs, seeds: Sequence[int]) -> float:
  """Compile the train step of trials; return the bytes that a device needs.

  The trials do not compile it again.

  Args:
    inputs: data and programs.
    seeds: seeds of the trials that run at once, whose first batches are
      compiled for; one runs alone.
  """
  return _step_bytes(inputs, seeds) + _beside_bytes(inputs, len(seeds))


def evaluation_bytes(inputs: TrialInputs, count: int) -> float:
  """Compile the evaluation of the split that needs most; return its bytes.

  Args:
    inputs: data and programs.
    count: number of trials that run at once.
  """
  programs = inputs.programs
  params, opt_state = programs.abstract.params, programs.abstract.opt_state
  batches = {
    split.placed[0]["packs_BS"].shape: split.placed[0]
    for split in (inputs.dev, inputs.test)
    if split is not None
  }
  needed = max(
    memory.step_bytes(programs.outputs, params, batch)
    for batch in batches.values()
  )
  # The states stay on the device meanwhile. Those of several are stacked, and
  # what is evaluated is taken out of them.
  needed += count * memory.shard_bytes(opt_state)
  if count > 1:
    needed += count * memory.shard_bytes(params)
  return needed + _beside_bytes(inputs, count)


def _step_bytes(inputs: TrialInputs, seeds: Sequence[int]) -> float:
  programs = inputs.programs
  # As trials place them, so that they find what is compiled here.
  if len(seeds) > 1:
    step, seed = programs.joint_step, programs.place_seed(seeds)
    state = joint.stacked_abstract(programs.abstract, len(seeds))
    batch = training_batch(inputs, seeds, 0)
  else:
    step, seed = programs.train_step, programs.place_seed(seeds[0])
    state = programs.abstract
    batch = inputs.train(seeds[0], 0)
  placed = feeding.put_batch(local_part(batch, programs.mesh), programs.mesh)
  return memory.step_bytes(step, state, placed, seed)


def _beside_bytes(inputs: TrialInputs, count: int) -> int:
  """Return what stays on a device beside the states of trials."""
  splits = [each.placed for each in (inputs.dev, inputs.test) if each]
  # The best parameters of each trial are a copy of their own.
  copies = count + inputs.kept
  return copies * memory.shard_bytes(
    inputs.programs.abstract.params
  ) + memory.shard_bytes(jax.tree.leaves(splits))
