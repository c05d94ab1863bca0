# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Classification: one label for each example."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Batch, Feature
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune import scores
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.model import BertForSequenceClassification
from bertjax.objectives.losses import classification_losses
from bertjax.objectives.metrics import Metrics

Array = jax.Array


def make_model(
  encoder: ModelConfig, compute: ComputeConfig, *, num_labels: int, pooling: str
) -> BertForSequenceClassification:
  """Return the model, whose outputs are `logits_BC`."""
  return BertForSequenceClassification(
    encoder, compute, num_classes=num_labels, pooling=pooling
  )


def losses(logits_BC: Array, batch: Mapping[str, Array]) -> Metrics:
  """Return the cross-entropy as `loss`, and `accuracy`."""
  return classification_losses(
    _by_example(logits_BC),
    batch["label_BR"].reshape(-1),
    batch["weight_BR"].reshape(-1),
  )


def weights(batch: Mapping[str, Array]) -> dict[str, Array]:
  """Return the number of labels in a batch."""
  return {"loss": jnp.sum(batch["weight_BR"])}


def score_rows(logits_BC: np.ndarray, rows: Batch) -> Scores:
  """Return accuracy, macro F1 and mean cross-entropy of all examples."""
  logits_NC, labels_N = _real(logits_BC, rows)
  return {
    "accuracy": scores.accuracy(logits_NC, labels_N),
    "macro_f1": scores.macro_f1(logits_NC, labels_N),
    "loss": scores.cross_entropy(logits_NC, labels_N),
  }


def count_classes(logits_BC: np.ndarray, rows: Batch) -> scores.ClassCounts:
  """Count the labels, the predictions and the right ones of each class."""
  return scores.count_classes(*_real(logits_BC, rows))


def answers(
  logits_NC: np.ndarray,
  rows: Batch,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> Sequence[Sequence[Answer]]:
  """Return a guess for every label, for each row."""
  del rows, tokens
  return [
    scores.guesses(probabilities_C, labels)
    for probabilities_C in scores.probabilities(logits_NC)
  ]


def _real(logits_BC: np.ndarray, rows: Batch) -> tuple[np.ndarray, np.ndarray]:
  """Return logits and labels of the examples, without padding."""
  is_real_BR = rows["weight_BR"] > 0
  logits_NC = _by_example(logits_BC)[is_real_BR.reshape(-1)]
  return logits_NC, rows["label_BR"][is_real_BR]


def _by_example(logits: Any) -> Any:
  """Return logits with one row for each example, for any number of packs."""
  return logits.reshape(-1, logits.shape[-1])


TASK = FinetuneTask(
  name="classification",
  verb="classify",
  architecture="BertForSequenceClassification",
  pools=True,
  targets={
    "label_BR": Feature("BR", "int32"),
    "weight_BR": Feature("BR", "float32"),  # 1 for an example, 0 for padding
  },
  make_model=make_model,
  coefficients={"loss": 1.0},
  weights=weights,
  losses=losses,
  scores=score_rows,
  count_classes=count_classes,
  metrics=("accuracy", "macro_f1"),
  columns={
    "dev accuracy": ("dev", "accuracy"),
    "test accuracy": ("test", "accuracy"),
    "test macro F1": ("test", "macro_f1"),
  },
  answer_columns=("label", "probability"),
  answers=answers,
)
