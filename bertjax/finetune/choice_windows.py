# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Long choices whose windows have one logit in training, too.

A softmax is over the choices of an example, so that a window alone has no loss:
the logits of the windows of a choice are pooled first, as `windows.pool` does
for scores and answers. `window_attention` pools them with weights instead.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.finetune.multiple_choice import TASK
from bertjax.finetune.task import FinetuneTask
from bertjax.finetune.window_attention import find_same
from bertjax.objectives.metrics import Metrics

Array = jax.Array
# Finite, because a row of padding has no window at all.
_NEVER = -1e30


@functools.cache
def pool_choices(*, largest: bool) -> FinetuneTask:
  """Return multiple choice whose loss is that of pooled logits.

  Args:
    largest: whether the largest logit of the windows of a choice counts;
      otherwise their mean does.
  """

  def losses(
    outputs: Mapping[str, Array], batch: Mapping[str, Array], **options: Any
  ) -> Metrics:
    pooled_BR = pool_rows(
      outputs["logits_BRC"][..., 0],
      batch["first_BR"],
      batch["weight_BR"],
      largest=largest,
    )
    pooled = {"logits_BRC": pooled_BR[..., None]}
    return TASK.losses({**outputs, **pooled}, batch, **options)

  return dataclasses.replace(TASK, losses=losses)


def pool_rows(
  logits_BR: Array, first_BR: Array, weight_BR: Array, *, largest: bool
) -> Array:
  """Return `logits_BR` in which each window has that of its whole choice.

  Args:
    logits_BR: logits of windows.
    first_BR: below 0 for a further window of the choice before it.
    weight_BR: 0 for padding alone.
    largest: as `pool_choices` takes it.
  """
  same_BRQ = find_same((first_BR >= 0).astype(jnp.int32), weight_BR)
  logits_BRQ = logits_BR[:, None, :]
  if largest:
    return jnp.max(jnp.where(same_BRQ, logits_BRQ, _NEVER), axis=2)
  # Padding is of no choice.
  count_BR = jnp.maximum(jnp.sum(same_BRQ, axis=2, dtype=jnp.float32), 1)
  return jnp.sum(jnp.where(same_BRQ, logits_BRQ, 0.0), axis=2) / count_BR
