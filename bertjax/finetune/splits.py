# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Splits that are evaluated many times: placed once, scored as a whole."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from bertjax.batch import Batch, EvaluationBatch, SplitData, check_batch
from bertjax.finetune import windows as by_windows
from bertjax.finetune.programs import Programs, local_part
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.task import Scores
from bertjax.finetune.windows import Places, Windows
from bertjax.parallel import feeding
from bertjax.parallel.feeding import batch_shards


@dataclasses.dataclass(frozen=True)
class Split:
  """The batches of a split on the devices, and its windows on the host.

  Attributes:
    placed: the batches, all of one shape.
    places: where the windows stand in the rows of all batches.
    windows: the windows and their examples.
  """

  placed: tuple[dict[str, jax.Array], ...]
  places: Places
  windows: Windows


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """The scores of a split.

  Attributes:
    scores: its scores.
    classes: counts of its classes; None if there are none.
    is_degenerate: whether its answers say nothing of the texts; None where the
      task does not declare it.
    outputs: the model's outputs by window; None in one that was restored.
  """

  scores: Scores
  classes: ClassCounts | None
  is_degenerate: bool | None = None
  outputs: Batch | None = dataclasses.field(
    default=None, compare=False, repr=False
  )


def make_split(
  data: SplitData,
  programs: Programs,
  batch_size: int,
  labels: Sequence[str] = (),
  settings: Mapping[str, float] | None = None,
) -> Split:
  """Put the batches of a split on the devices.

  Args:
    data: the split.
    programs: functions that will read the batches.
    batch_size: largest number of rows of a batch.
    labels: as `Windows` has them.
    settings: as `Windows` has them.

  Raises:
    ValueError: the first batch is not what the task declares.
  """
  batches = list(data.evaluation(batch_size, batch_shards(programs.mesh)))
  check_batch(batches[0].arrays, programs.task.features)
  places, windows = find_windows(data, batches, labels, settings)
  return Split(
    placed=tuple(
      feeding.put_batch(local_part(batch.arrays, programs.mesh), programs.mesh)
      for batch in batches
    ),
    places=places,
    windows=windows,
  )


def find_windows(
  data: SplitData,
  batches: Sequence[EvaluationBatch],
  labels: Sequence[str] = (),
  settings: Mapping[str, float] | None = None,
) -> tuple[Places, Windows]:
  """Return where the windows of a split stand in its batches, and these.

  Args:
    data: the split.
    batches: what its `evaluation` yields.
    labels: as `Windows` has them.
    settings: as `Windows` has them.
  """
  whole = {
    name: np.concatenate([batch.arrays[name] for batch in batches])
    for name in batches[0].arrays
  }
  places = by_windows.find(
    whole["packs_BS"],
    whole["starts_BR"],
    np.concatenate([batch.window_BR for batch in batches]),
  )
  return places, Windows(
    by_windows.by_window(whole, places),
    places.length_N,
    data.owners_N,
    data.examples,
    labels,
    settings or {},
  )


def split_outputs(programs: Programs, params: Any, split: Split) -> Batch:
  """Return the model's outputs for the windows of a split, in order."""
  # Every batch is dispatched before the first one is read.
  parts = [programs.outputs(params, batch) for batch in split.placed]
  parts = jax.device_get(parts)
  return by_windows.by_window(
    {name: np.concatenate([each[name] for each in parts]) for name in parts[0]},
    split.places,
  )


def evaluate(
  programs: Programs,
  params: Any,
  split: Split,
  tuned: Mapping[str, float] | None = None,
) -> Evaluation:
  """Score parameters on a split.

  Args:
    programs: compiled functions.
    params: parameters of the model.
    split: what to score.
    tuned: settings that another split has tuned; this one tunes the others.
  """
  outputs = split_outputs(programs, params, split)
  windows = split.windows.tuned(tuned or {})
  task = programs.task
  # Outputs of a run that has diverged hold nan or infinity, and so do its
  # scores, which the trial looks at.
  with np.errstate(all="ignore"):
    scores = task.scores(outputs, windows)
    return Evaluation(
      scores,
      task.count_classes and task.count_classes(outputs, windows),
      task.is_degenerate and task.is_degenerate(scores, outputs, windows),
      outputs,
    )
