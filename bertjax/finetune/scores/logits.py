# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Probabilities of logits, the likeliest guesses, and the cross-entropy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bertjax.finetune.scores.checks import check_examples


class Guess(NamedTuple):
  """A token or a label, and its probability."""

  text: str
  probability: float


def probabilities(logits_NC: np.ndarray) -> np.ndarray:
  """Return the softmax over the last axis."""
  logits_NC = np.asarray(logits_NC, np.float64)
  shifted_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
  return shifted_NC / shifted_NC.sum(axis=1, keepdims=True)


def cross_entropy(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the mean cross-entropy in nats.

  Raises:
    ValueError: there is no example.
  """
  check_examples(logits_NC, labels_N)
  logits_NC = np.asarray(logits_NC, np.float64)
  largest_N1 = logits_NC.max(axis=1, keepdims=True)
  partition_N = np.log(np.exp(logits_NC - largest_N1).sum(axis=1))
  chosen_N = np.take_along_axis(logits_NC, labels_N[:, None], axis=1)[:, 0]
  return float((partition_N + largest_N1[:, 0] - chosen_N).mean())


def guesses(probabilities_C: np.ndarray, names: Sequence[str]) -> list[Guess]:
  """Return a guess for every class, the likeliest first."""
  order_C = np.argsort(-probabilities_C, kind="stable")
  return [Guess(names[int(i)], float(probabilities_C[i])) for i in order_C]
