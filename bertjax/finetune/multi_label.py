# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Multi-label classification: any number of labels for each example.

Each class is a question of its own, answered yes from a probability of 0.5.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bertjax.batch import Batch, Feature
from bertjax.finetune import classification
from bertjax.finetune.error_analysis import (
  ErrorAnalysis,
  Mistake,
  Mistakes,
  count_wrong,
  find_worst,
  texts_of,
)
from bertjax.finetune.scores import ClassCounts, Guesses
from bertjax.finetune.scores.calibration import class_reliability
from bertjax.finetune.scores.multi_label import (
  binary_cross_entropy,
  count_labels,
  exact_share,
  sigmoid,
)
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.finetune.windows import Windows, pool
from bertjax.interop.outputs import MULTI_LABEL
from bertjax.objectives.metrics import Metrics

Array = jax.Array
THRESHOLD = 0.5


def losses(
  outputs: Mapping[str, Array],
  batch: Mapping[str, Array],
  *,
  label_smoothing: float = 0.0,
  focal_exponent: float = 0.0,
) -> Metrics:
  """Return the binary cross-entropy, the mean over the classes, as `loss`.

  With an exponent γ it is the focal loss: an answer that has the probability p
  counts (1 − p)^γ times as much. With a smoothing ε the target is 1 − ε for the
  right one of the two answers, and ε divided by both. Each answer counts with
  its weight: with that of `torch.nn.BCEWithLogitsLoss(pos_weight=)`, a yes
  counts that many times as much as a no.
  """
  loss_BRC = optax.sigmoid_binary_cross_entropy(
    outputs["logits_BRC"], batch["label_BRC"]
  )
  # The loss is −log p.
  wrong_BRC = -jnp.expm1(-loss_BRC)
  if label_smoothing:
    # log p − log(1 − p) is the logit of the right answer.
    sign_BRC = 2 * batch["label_BRC"] - 1
    loss_BRC += label_smoothing / 2 * sign_BRC * outputs["logits_BRC"]
  if focal_exponent:
    loss_BRC *= wrong_BRC**focal_exponent
  loss_BR = jnp.mean(loss_BRC * batch["weight_BRC"], axis=-1)
  weight_BR = batch["weight_BR"]
  return {"loss": (jnp.sum(loss_BR * weight_BR), jnp.sum(weight_BR))}


def score(outputs: Batch, windows: Windows) -> Scores:
  """Return micro and macro F1, the share of exact answers, and the loss."""
  outputs, windows = pool(outputs, windows)
  counts = count_classes(outputs, windows)
  labels_NC = windows["label_NC"]
  return {
    "micro_f1": counts.micro_f1,
    "macro_f1": counts.macro_f1,
    "exact": exact_share(_is_predicted(outputs), labels_NC),
    "loss": binary_cross_entropy(outputs["logits_NC"], labels_NC),
  }


def count_classes(outputs: Batch, windows: Windows) -> ClassCounts:
  """Count the labels, the predictions and the right ones of each class."""
  outputs, windows = pool(outputs, windows)
  return count_labels(_is_predicted(outputs), windows["label_NC"])


def by_example(outputs: Batch, windows: Windows) -> dict[str, np.ndarray]:
  """Return how many labels each text has, is given, and rightly so.

  `exact` is 1 where they are the same labels.
  """
  outputs, windows = pool(outputs, windows)
  given_NC, wanted_NC = _is_predicted(outputs), windows["label_NC"] > 0
  return {
    "wanted": wanted_NC.sum(axis=1),
    "given": given_NC.sum(axis=1),
    "right": (wanted_NC & given_NC).sum(axis=1),
    "exact": (wanted_NC == given_NC).all(axis=1).astype(int),
  }


def class_logits(
  outputs: Batch, windows: Windows
) -> tuple[np.ndarray, np.ndarray]:
  """Return each question, yes or no, as an example of two classes."""
  outputs, windows = pool(outputs, windows)
  yes_N = outputs["logits_NC"].reshape(-1)
  labels_N = windows["label_NC"].reshape(-1).astype(np.int32)
  return np.stack([np.zeros_like(yes_N), yes_N], axis=1), labels_N


def answers(
  outputs: Batch,
  windows: Windows,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> Sequence[Sequence[Answer]]:
  """Return every label, its probability, and whether it is given."""
  del tokens
  outputs, _ = pool(outputs, windows)
  return [
    [
      (*guess, guess.probability >= THRESHOLD)
      for guess in Guesses(probabilities_C, labels)
    ]
    for probabilities_C in sigmoid(outputs["logits_NC"])
  ]


def analyze(outputs: Batch, windows: Windows) -> ErrorAnalysis:
  """Return the texts with the surest wrong yes or no, of any label."""
  pooled, windows = pool(outputs, windows)
  yes_NC = sigmoid(pooled["logits_NC"])
  is_label_NC, is_given_NC = windows["label_NC"] > 0, _is_predicted(pooled)
  is_wrong_NC = is_label_NC != is_given_NC
  surest_N = (np.maximum(yes_NC, 1 - yes_NC) * is_wrong_NC).max(axis=1)
  is_wrong_N = is_wrong_NC.any(axis=1)
  names = np.asarray(windows.labels, object)
  return ErrorAnalysis(
    Mistakes(
      "The texts with the surest wrong labels",
      count_wrong(is_wrong_N, "texts"),
      ("probability",),
      tuple(
        Mistake(
          (f"{surest_N[number]:.1%}",),
          tuple(names[is_label_NC[number]]),
          tuple(names[is_given_NC[number]]),
          texts_of(windows, number),
        )
        for number in find_worst(surest_N, is_wrong_N)
      ),
    ),
    class_errors=tuple(
      class_reliability(np.stack([0 * yes_N, yes_N], axis=1), label_N).error
      for yes_N, label_N in zip(
        pooled["logits_NC"].T, is_label_NC.T.astype(np.int32), strict=True
      )
    ),
  )


def _is_predicted(outputs: Batch) -> np.ndarray:
  return sigmoid(outputs["logits_NC"]) >= THRESHOLD


TASK = FinetuneTask(
  name="multi_label",
  verb="label",
  architecture="BertForSequenceClassification",
  problem_type=MULTI_LABEL,
  pools=True,
  targets={
    "label_BRC": Feature("BRC", "float32"),  # 1 for a label, else 0
    "weight_BRC": Feature("BRC", "float32"),  # how much each answer counts
    "weight_BR": Feature("BR", "float32"),  # 1 for an example, 0 for padding
  },
  make_model=classification.make_model,
  coefficients={"loss": 1.0},
  weights=classification.weights,
  losses=losses,
  scores=score,
  count_classes=count_classes,
  metrics=("micro_f1", "macro_f1", "exact"),
  macro_leaves_out=False,
  columns={
    "dev micro F1": ("dev", "micro_f1"),
    "test micro F1": ("test", "micro_f1"),
    "test macro F1": ("test", "macro_f1"),
  },
  answer_columns=("label", "probability", "given"),
  answers=answers,
  class_logits=class_logits,
  by_example=by_example,
  analyze=analyze,
  loss_options=("label_smoothing", "focal_exponent"),
)
