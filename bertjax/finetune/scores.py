# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a classifier is judged by, on the host, over whole splits."""

import dataclasses

import numpy as np

from bertjax.config import FinetuneConfig, choices

METRICS = choices(FinetuneConfig, "metric")


@dataclasses.dataclass(frozen=True)
class Scores:
  """Accuracy, macro F1 and mean cross-entropy (nats) of a split."""

  accuracy: float
  macro_f1: float
  loss: float

  def value(self, metric: str) -> float:
    """Return the metric of that name, one of METRICS."""
    return {"accuracy": self.accuracy, "macro_f1": self.macro_f1}[metric]

  def rank(self, metric: str) -> tuple[float, float]:
    """Return what a better split is larger in; the loss breaks ties."""
    return self.value(metric), -self.loss


def score(logits_NC: np.ndarray, labels_N: np.ndarray) -> Scores:
  """Score the logits of N examples against their labels.

  Macro F1 is the mean of the F1 of every class that is a label or a
  prediction; a class that is never right counts 0.

  Raises:
    ValueError: no example.
  """
  if not len(labels_N):
    raise ValueError("no examples to score; give a split that has some")
  logits_NC = np.asarray(logits_NC, np.float64)
  predictions_N = logits_NC.argmax(axis=1)
  right_N = predictions_N == labels_N
  num_classes = logits_NC.shape[1]
  true_C = np.bincount(labels_N[right_N], minlength=num_classes)
  # 2·TP + FP + FN: labels and predictions each count TP once.
  total_C = np.bincount(labels_N, minlength=num_classes)
  total_C = total_C + np.bincount(predictions_N, minlength=num_classes)
  f1_C = 2 * true_C[total_C > 0] / total_C[total_C > 0]
  return Scores(
    accuracy=float(right_N.mean()),
    macro_f1=float(f1_C.mean()),
    loss=float(_cross_entropy(logits_NC, labels_N).mean()),
  )


def probabilities(logits_NC: np.ndarray) -> np.ndarray:
  """Softmax over the classes, float64."""
  logits_NC = np.asarray(logits_NC, np.float64)
  shifted_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
  return shifted_NC / shifted_NC.sum(axis=1, keepdims=True)


def _cross_entropy(logits_NC: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
  largest_N1 = logits_NC.max(axis=1, keepdims=True)
  partition_N = np.log(np.exp(logits_NC - largest_N1).sum(axis=1))
  chosen_N = np.take_along_axis(logits_NC, labels_N[:, None], axis=1)[:, 0]
  return partition_N + largest_N1[:, 0] - chosen_N
