# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Probabilities of logits, the likeliest guesses, and the cross-entropy."""

from collections.abc import Sequence
from typing import NamedTuple, overload

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


class Guesses(Sequence[Guess]):
  """A guess for every class, the likeliest first.

  Guesses are made when they are read: all those of 77 classes take a seventh of
  the time of a small model, and many callers read the first only.
  """

  def __init__(self, probabilities_C: np.ndarray, names: Sequence[str]) -> None:
    self._probabilities_C = probabilities_C
    self._order_C = np.argsort(-probabilities_C, kind="stable")
    self._names = names

  def __len__(self) -> int:
    """Return the number of classes."""
    return len(self._order_C)

  @overload
  def __getitem__(self, key: int) -> Guess: ...

  @overload
  def __getitem__(self, key: slice) -> list[Guess]: ...

  def __getitem__(self, key: int | slice) -> Guess | list[Guess]:
    """Return the guess of a rank, or those of several ranks."""
    if isinstance(key, slice):
      order_C = self._order_C[key]
      numbers: list[int] = order_C.tolist()
      names = [self._names[number] for number in numbers]
      probabilities = self._probabilities_C[order_C].tolist()
      return [Guess(*each) for each in zip(names, probabilities, strict=True)]
    number = int(self._order_C[key])
    return Guess(self._names[number], float(self._probabilities_C[number]))
