# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of whole splits, in float64 on the host, one file an idea.

They take examples without padding: `finetune.splits` has left padding out.
"""

from bertjax.finetune.scores.classes import (
  ClassCounts,
  accuracy,
  binary_f1,
  confusion_matrix,
  count_classes,
  macro_f1,
  matthews,
)
from bertjax.finetune.scores.correlations import pearson, spearman
from bertjax.finetune.scores.logits import (
  Guess,
  Guesses,
  cross_entropy,
  probabilities,
)

__all__ = [
  "ClassCounts",
  "Guess",
  "Guesses",
  "accuracy",
  "binary_f1",
  "confusion_matrix",
  "count_classes",
  "cross_entropy",
  "macro_f1",
  "matthews",
  "pearson",
  "probabilities",
  "spearman",
]
