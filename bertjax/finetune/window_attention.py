# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Long texts whose windows are weighed by attention that is learned.

A linear score of the vector of each window, and a softmax over the windows of
a text, give the weights (Ilse et al., 2018, "Attention-based deep multiple
instance learning", with a linear score). The head is linear, so that the mean
of logits is the logits of the mean vector. The loss is that of the mean, so
that the score is trained by what it is used for.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bertjax.batch import Feature
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune.task import FinetuneTask
from bertjax.objectives.metrics import Metrics

Array = jax.Array
# Finite, because a row of padding has no window at all.
_NEVER = -1e30
# A setting of the data, and of the record of a head.
SETTING = "pool_attention"


@functools.cache
def pool_by_attention(task: FinetuneTask) -> FinetuneTask:
  """Return a task of texts whose windows are weighed by attention.

  It has the name, the scores and the answers of `task`, which pool what
  `windows.pool` pools. `first_BR` marks the first window of each text in its
  batches, and the windows of a text stand next to each other in one row.

  Args:
    task: a task whose losses read `logits_BRC`, and a target and an equal share
      of the weight at each window of a text.
  """

  def make_model(
    encoder: ModelConfig,
    compute: ComputeConfig,
    *,
    num_labels: int,
    pooling: str,
  ) -> nn.Module:
    model = task.make_model(
      encoder, compute, num_labels=num_labels, pooling=pooling
    )
    return model.clone(scores_windows=True)

  def losses(
    outputs: Mapping[str, Array], batch: Mapping[str, Array], **options: Any
  ) -> Metrics:
    marked = batch
    if task.compares:
      marked = {**batch, "first_BR": (batch["first_BR"] >= 0).astype(jnp.int32)}
    pooled = {"logits_BRC": pool_rows(outputs, marked)}
    return task.losses({**outputs, **pooled}, batch, **options)

  return dataclasses.replace(
    task,
    targets={**task.targets, "first_BR": Feature("BR", "int32")},
    make_model=make_model,
    losses=losses,
  )


def pool_rows(
  outputs: Mapping[str, Array], batch: Mapping[str, Array]
) -> Array:
  """Return `logits_BRC` in which each window has those of its whole text.

  Args:
    outputs: `logits_BRC` and `attention_BR`.
    batch: with `first_BR` and `weight_BR`, which is 0 for padding alone.
  """
  same_BRQ = find_same(batch["first_BR"], batch["weight_BR"])
  score_BRQ = jnp.where(same_BRQ, outputs["attention_BR"][:, None, :], _NEVER)
  share_BRQ = jax.nn.softmax(score_BRQ, axis=2)
  return jnp.einsum(
    "BRQ,BQC->BRC",
    share_BRQ,
    outputs["logits_BRC"],
    precision=jax.lax.Precision.HIGHEST,
  )


def find_same(first_BR: Array, weight_BR: Array) -> Array:
  """Return bool `same_BRQ`: whether Q is a window of the text of R.

  Args:
    first_BR: 1 for the first window of each text, else 0.
    weight_BR: 0 for padding, which is of no text.
  """
  text_BR = jnp.cumsum(first_BR, axis=1)
  same_BRQ = text_BR[:, :, None] == text_BR[:, None, :]
  return same_BRQ & (weight_BR[:, None, :] > 0)
