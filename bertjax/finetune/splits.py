# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A split that is evaluated again and again: placed once, scored whole."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from bertjax.batch import Batch
from bertjax.finetune.programs import Programs, place
from bertjax.finetune.scores import Scores, score


@dataclasses.dataclass(frozen=True)
class Split:
  """Batches on the devices, and which of their rows are examples.

  Attributes:
    placed: the batches, all of one shape.
    real_N: bool, rows that are no padding, over all batches.
    labels_N: int, labels of the real rows.
  """

  placed: tuple[dict[str, jax.Array], ...]
  real_N: np.ndarray
  labels_N: np.ndarray


def make_split(batches: Iterable[Batch], programs: Programs) -> Split:
  """Place the batches of a split."""
  batches = list(batches)
  real_N = np.concatenate([batch["weight_B"] > 0 for batch in batches])
  labels_N = np.concatenate([batch["label_B"] for batch in batches])
  return Split(
    placed=tuple(place(batch, programs.mesh) for batch in batches),
    real_N=real_N,
    labels_N=labels_N[real_N],
  )


def split_logits(programs: Programs, params: Any, split: Split) -> np.ndarray:
  """Return the logits [N, C] of the split's examples, in order."""
  # All are dispatched before the first is read.
  parts = [programs.logits(params, batch) for batch in split.placed]
  return np.concatenate(jax.device_get(parts))[split.real_N]


def evaluate(programs: Programs, params: Any, split: Split) -> Scores:
  """Score parameters on a split."""
  return score(split_logits(programs, params, split), split.labels_N)
