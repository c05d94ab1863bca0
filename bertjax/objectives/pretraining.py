# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training as a task."""

from typing import Any

import jax

from bertjax.batch import PRETRAINING_FEATURES, Vocabulary
from bertjax.config import ObjectiveConfig
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import compute_copy
from bertjax.objectives import losses as objectives
from bertjax.objectives import masking
from bertjax.objectives.metrics import Metrics
from bertjax.objectives.task import Features, Task


def pretraining_task(
  model: BertForPreTraining,
  objective: ObjectiveConfig,
  vocabulary: Vocabulary,
  *,
  num_slots: int,
) -> Task:
  """Return masked language modeling with the pair loss of `objective`.

  Args:
    model: a module without parameters.
    objective: what is masked and which losses count.
    vocabulary: of the store.
    num_slots: prediction slots a row; see `masking.num_slots`.
  """

  def prepare(batch: Features) -> Features:
    masked = masking.mask_tokens(
      batch, vocabulary, objective, num_slots=num_slots
    )
    return {**batch, "tokens_BS": masked.tokens_BS, "masked": masked}

  def losses(
    params: Any, batch: Features, *, rng: jax.Array, deterministic: bool
  ) -> Metrics:
    outputs: Any = model.apply(
      {"params": params},
      batch,
      batch["masked"].positions_BP,
      deterministic=deterministic,
      rngs={"dropout": rng},
    )
    return objectives.pretraining_losses(
      outputs,
      batch["masked"],
      batch["pair_label_BR"],
      objective,
      vocabulary.log_unigram_V,
    )

  return Task(
    losses=losses,
    coefficients=objectives.coefficients(objective),
    weights=lambda batch: objectives.pretraining_weights(
      batch["masked"], batch["pair_label_BR"], objective
    ),
    features=PRETRAINING_FEATURES,
    prepare=prepare,
    compute_copy=lambda params: compute_copy(params, model.compute.dtype),
  )
