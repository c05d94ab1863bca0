# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Classification: one label for each example."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Batch, Feature
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune import scores
from bertjax.finetune.error_analysis import (
  Confusion,
  ErrorAnalysis,
  Mistake,
  Mistakes,
  count_wrong,
  find_worst,
  texts_of,
)
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.finetune.windows import Windows, pool
from bertjax.interop.outputs import SINGLE_LABEL
from bertjax.model import BertForSequenceClassification
from bertjax.objectives.losses import classification_losses
from bertjax.objectives.metrics import Metrics

Array = jax.Array


def make_model(
  encoder: ModelConfig, compute: ComputeConfig, *, num_labels: int, pooling: str
) -> BertForSequenceClassification:
  """Return the model, whose output is `logits_BRC`."""
  return BertForSequenceClassification(
    encoder, compute, num_classes=num_labels, pooling=pooling
  )


def losses(
  outputs: Mapping[str, Array],
  batch: Mapping[str, Array],
  *,
  label_smoothing: float = 0.0,
  focal_exponent: float = 0.0,
) -> Metrics:
  """Return the cross-entropy as `loss`, and `accuracy`."""
  logits_BRC = outputs["logits_BRC"]
  return classification_losses(
    logits_BRC.reshape(-1, logits_BRC.shape[-1]),
    batch["label_BR"].reshape(-1),
    batch["weight_BR"].reshape(-1),
    label_smoothing,
    focal_exponent,
  )


def weights(batch: Mapping[str, Array]) -> dict[str, Array]:
  """Return the number of labels in a batch."""
  return {"loss": jnp.sum(batch["weight_BR"])}


def score(outputs: Batch, windows: Windows) -> Scores:
  """Return the scores and the mean cross-entropy of all examples.

  Of two classes, "f1" is the F1 of the second one.
  """
  logits_NC, labels_N = class_logits(outputs, windows)
  found = {
    "accuracy": scores.accuracy(logits_NC, labels_N),
    "macro_f1": scores.macro_f1(logits_NC, labels_N),
    "matthews": scores.matthews(logits_NC, labels_N),
    "loss": scores.cross_entropy(logits_NC, labels_N),
  }
  if logits_NC.shape[1] == 2:
    found["f1"] = scores.binary_f1(logits_NC, labels_N)
  return found


def count_classes(outputs: Batch, windows: Windows) -> scores.ClassCounts:
  """Count the labels, the predictions and the right ones of each class."""
  return scores.count_classes(*class_logits(outputs, windows))


def class_logits(
  outputs: Batch, windows: Windows
) -> tuple[np.ndarray, np.ndarray]:
  """Return the logits and the labels of all examples."""
  outputs, windows = pool(outputs, windows)
  return outputs["logits_NC"], windows["label_N"]


def by_example(outputs: Batch, windows: Windows) -> dict[str, np.ndarray]:
  """Return the label of each example, and the class that is predicted."""
  logits_NC, labels_N = class_logits(outputs, windows)
  return {"label": labels_N, "predicted": logits_NC.argmax(axis=1)}


def answers(
  outputs: Batch,
  windows: Windows,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> Sequence[Sequence[Answer]]:
  """Return a guess for every label, for each example."""
  del tokens
  outputs, _ = pool(outputs, windows)
  return [
    scores.Guesses(probabilities_C, labels)
    for probabilities_C in scores.probabilities(outputs["logits_NC"])
  ]


def analyze(outputs: Batch, windows: Windows) -> ErrorAnalysis:
  """Return the surest wrong answers, and which class is taken for which."""
  logits_NC, labels_N = class_logits(outputs, windows)
  names = tuple(windows.labels)
  answer_N = logits_NC.argmax(axis=1)
  surest_N = scores.probabilities(logits_NC).max(axis=1)
  is_wrong_N = answer_N != labels_N
  return ErrorAnalysis(
    Mistakes(
      "The surest wrong answers",
      count_wrong(is_wrong_N, "answers"),
      ("probability",),
      tuple(
        Mistake(
          (f"{surest_N[number]:.1%}",),
          (names[int(labels_N[number])],),
          (names[int(answer_N[number])],),
          texts_of(windows, number),
        )
        for number in find_worst(surest_N, is_wrong_N)
      ),
    ),
    Confusion(
      names,
      scores.confusion_matrix(logits_NC, labels_N),
      "texts",
      "How often a label is answered by another.",
    ),
  )


TASK = FinetuneTask(
  name="classification",
  verb="classify",
  architecture="BertForSequenceClassification",
  problem_type=SINGLE_LABEL,
  pools=True,
  targets={
    "label_BR": Feature("BR", "int32"),
    "weight_BR": Feature("BR", "float32"),  # 1 for an example, 0 for padding
  },
  make_model=make_model,
  coefficients={"loss": 1.0},
  weights=weights,
  losses=losses,
  scores=score,
  count_classes=count_classes,
  metrics=("accuracy", "macro_f1", "matthews", "f1"),
  columns={
    "dev accuracy": ("dev", "accuracy"),
    "test accuracy": ("test", "accuracy"),
    "test macro F1": ("test", "macro_f1"),
  },
  answer_columns=("label", "probability"),
  answers=answers,
  class_logits=class_logits,
  by_example=by_example,
  analyze=analyze,
  loss_options=("label_smoothing", "focal_exponent"),
)
