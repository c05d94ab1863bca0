# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Regression: a score for each example, such as how alike two texts are.

Its loss is the squared error, as of transformers' `problem_type="regression"`.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Batch, Feature
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune import classification, scores
from bertjax.finetune.error_analysis import (
  ErrorAnalysis,
  Mistake,
  Mistakes,
  ScorePairs,
  find_worst,
  texts_of,
)
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.finetune.windows import Windows, pool
from bertjax.interop.outputs import REGRESSION
from bertjax.model import BertForSequenceClassification
from bertjax.objectives.metrics import Metrics

Array = jax.Array


def make_model(
  encoder: ModelConfig, compute: ComputeConfig, *, num_labels: int, pooling: str
) -> BertForSequenceClassification:
  """Return the model, whose `logits_BRC` is a score (C = 1)."""
  del num_labels
  return classification.make_model(
    encoder, compute, num_labels=1, pooling=pooling
  )


def losses(outputs: Mapping[str, Array], batch: Mapping[str, Array]) -> Metrics:
  """Return the squared error as `loss`."""
  error_BR = outputs["logits_BRC"][..., 0] - batch["score_BR"]
  weight_BR = batch["weight_BR"]
  return {"loss": (jnp.sum(error_BR**2 * weight_BR), jnp.sum(weight_BR))}


def score(outputs: Batch, windows: Windows) -> Scores:
  """Return both correlations and the mean squared error of all examples."""
  outputs, windows = pool(outputs, windows)
  predicted_N, true_N = _predicted(outputs), windows["score_N"]
  error_N = predicted_N - np.asarray(true_N, np.float64)
  return {
    "pearson": scores.pearson(predicted_N, true_N),
    "spearman": scores.spearman(predicted_N, true_N),
    "loss": float((error_N**2).mean()),
  }


def by_example(outputs: Batch, windows: Windows) -> dict[str, np.ndarray]:
  """Return the true score of each example, and the one that is predicted."""
  outputs, windows = pool(outputs, windows)
  return {"true": windows["score_N"], "predicted": _predicted(outputs)}


def answers(
  outputs: Batch,
  windows: Windows,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> Sequence[Sequence[Answer]]:
  """Return the score of each example."""
  del labels, tokens
  outputs, _ = pool(outputs, windows)
  return [[(float(score),)] for score in _predicted(outputs)]


def analyze(outputs: Batch, windows: Windows) -> ErrorAnalysis:
  """Return the scores that are farthest off, and all pairs of scores."""
  outputs, windows = pool(outputs, windows)
  predicted_N = _predicted(outputs)
  gold_N = np.asarray(windows["score_N"], np.float64)
  error_N = predicted_N - gold_N
  return ErrorAnalysis(
    Mistakes(
      "The scores that are farthest off",
      f"The mean distance is {np.abs(error_N).mean():.3f}.",
      ("off by",),
      tuple(
        Mistake(
          (f"{error_N[number]:+.2f}",),
          (f"{gold_N[number]:.2f}",),
          (f"{predicted_N[number]:.2f}",),
          texts_of(windows, number),
        )
        for number in find_worst(np.abs(error_N))
      ),
    ),
    score_pairs=ScorePairs(predicted_N, gold_N),
  )


def _predicted(outputs: Batch) -> np.ndarray:
  return np.asarray(outputs["logits_NC"][:, 0], np.float64)


TASK = FinetuneTask(
  name="regression",
  verb="score",
  architecture="BertForSequenceClassification",
  problem_type=REGRESSION,
  pools=True,
  targets={
    "score_BR": Feature("BR", "float32"),
    "weight_BR": Feature("BR", "float32"),  # 1 for an example, 0 for padding
  },
  make_model=make_model,
  coefficients={"loss": 1.0},
  weights=classification.weights,
  losses=losses,
  scores=score,
  count_classes=None,
  metrics=("pearson", "spearman"),
  columns={
    "dev Pearson": ("dev", "pearson"),
    "test Pearson": ("test", "pearson"),
    "test Spearman": ("test", "spearman"),
  },
  answer_columns=("score",),
  answers=answers,
  by_example=by_example,
  analyze=analyze,
)
