# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Splits that are evaluated many times: placed once, scored as a whole."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from bertjax.batch import Batch, check_batch
from bertjax.finetune.programs import Programs, local_part
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.task import Scores
from bertjax.parallel import feeding


@dataclasses.dataclass(frozen=True)
class Split:
  """The batches of a split on the devices, and its examples on the host.

  Attributes:
    placed: the batches, all of one shape.
    is_real_N: bool, False for the padding rows of all batches.
    rows: every array of the batches, without padding rows.
  """

  placed: tuple[dict[str, jax.Array], ...]
  is_real_N: np.ndarray
  rows: Batch


class Evaluation(NamedTuple):
  """The scores of a split, and the counts of its classes if there are any."""

  scores: Scores
  classes: ClassCounts | None


def make_split(batches: Iterable[Batch], programs: Programs) -> Split:
  """Put the batches of a split on the devices.

  Raises:
    ValueError: the first batch is not what the task declares.
  """
  batches = list(batches)
  check_batch(batches[0], programs.task.features)
  whole = {
    name: np.concatenate([batch[name] for batch in batches])
    for name in batches[0]
  }
  is_real_N = np.any(whole["packs_BS"] > 0, axis=1)
  return Split(
    placed=tuple(
      feeding.put_batch(local_part(batch, programs.mesh), programs.mesh)
      for batch in batches
    ),
    is_real_N=is_real_N,
    rows={name: array[is_real_N] for name, array in whole.items()},
  )


def split_outputs(programs: Programs, params: Any, split: Split) -> Any:
  """Return the model's outputs for the examples of a split, in order."""
  # Every batch is dispatched before the first one is read.
  parts = [programs.outputs(params, batch) for batch in split.placed]
  return jax.tree.map(
    lambda *leaves: np.concatenate(leaves)[split.is_real_N],
    *jax.device_get(parts),
  )


def evaluate(programs: Programs, params: Any, split: Split) -> Evaluation:
  """Score parameters on a split."""
  outputs = split_outputs(programs, params, split)
  count = programs.task.count_classes
  # Outputs of a run that has diverged hold nan or infinity, and so do its
  # scores, which the trial looks at.
  with np.errstate(all="ignore"):
    return Evaluation(
      programs.task.scores(outputs, split.rows),
      count(outputs, split.rows) if count else None,
    )
