# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Text of pre-training that encoders are measured on, masked alike for all."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from bertjax.batch import Batch, Vocabulary
from bertjax.config import ComputeConfig, ModelConfig, ObjectiveConfig
from bertjax.config.checks import open_choices
from bertjax.config.names import FINETUNING
from bertjax.finetune.programs import local_part
from bertjax.objectives import masking, pretraining
from bertjax.objectives.metrics import MetricSums
from bertjax.parallel import feeding
from bertjax.parallel.feeding import batch_shards
from bertjax.train.step import make_eval_step

# Rows of a batch of the reference, or a few more where a mesh needs them.
_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Reference:
  """Text of pre-training on which encoders are measured.

  Attributes:
    identity: what makes the rows and their masks, JSON-able.
    objective: how they are masked.
    vocabulary: tables over the tokenizer's vocabulary.
    batches: rows of a batch → the same rows in global batches of one shape.
  """

  identity: Mapping[str, Any]
  objective: ObjectiveConfig
  vocabulary: Vocabulary
  batches: Callable[[int], Sequence[Batch]]


def make_masked_lm(
  reference: Reference, shape: ModelConfig, mesh: Mesh, compute: ComputeConfig
) -> Callable[[Any], dict[str, float]]:
  """Return parameters → means over the reference, such as `mlm_loss` in nats.

  It is compiled once.

  Args:
    reference: the rows.
    shape: the encoder, without dropout.
    mesh: where it is computed.
    compute: how to compute.
  """
  objective = reference.objective
  shards = batch_shards(mesh)
  batches = reference.batches(-(-_BATCH_SIZE // shards) * shards)
  _, seq_length = batches[0]["tokens_BS"].shape
  slots = masking.num_slots(
    seq_length, batches[0]["starts_BR"].shape[1], objective.mask_rate
  )
  compute = open_choices.resolve(
    compute, shape, list(mesh.devices.flat), seq_length, FINETUNING
  )
  model = pretraining.make_model(shape, compute, objective)
  task = pretraining.pretraining_task(
    model, objective, reference.vocabulary, slots=slots
  )
  eval_step = make_eval_step(task, mesh)

  def masked_lm(params: Any) -> dict[str, float]:
    sums = MetricSums()
    for batch in batches:
      placed = feeding.put_batch(local_part(batch, mesh), mesh)
      sums.add(jax.device_get(eval_step(params, placed)))
    return sums.means()

  return masked_lm
