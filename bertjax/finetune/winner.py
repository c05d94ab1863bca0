# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The model of an arm: the best parameters, and what was measured with them."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bertjax.checkpoints.bundle import load_params, read_bundle_info
from bertjax.finetune.task import Scores
from bertjax.finetune.trial import TrialRun


class Winner(NamedTuple):
  """The parameters that are saved.

  Attributes:
    params: parameters of the encoder and the head.
    step: number of steps after which they were kept.
    temperature: as of `Head`.
    tuned: the numbers that dev has tuned for them.
  """

  params: Any
  step: int | None
  temperature: float | None
  tuned: Mapping[str, float]


def of_run(run: TrialRun, tuned: Sequence[str]) -> Winner:
  """Return the best parameters of a run.

  One that has run a second time, alone, may differ by rounding from the result
  that is stored: what is measured with these very parameters counts.

  Args:
    run: the run.
    tuned: names of the scores that dev tunes.
  """
  found = run.result
  return Winner(
    run.params,
    found.best_step,
    found.calibration and found.calibration.temperature,
    {name: found.dev[name] for name in tuned},
  )


def of_saved(
  folder: pathlib.Path, like: Any, tuned: Sequence[str], dev: Scores
) -> Winner:
  """Read the model that an earlier call has saved.

  Args:
    folder: folder of the bundle.
    like: shapes and shardings of the parameters.
    tuned: names of the scores that dev tunes.
    dev: the stored scores, for what the model's record lacks.
  """
  info = read_bundle_info(folder)
  head = info.details.task or {}
  settings = head.get("settings", {})
  return Winner(
    load_params(info, like),
    info.details.step,
    head.get("temperature"),
    {name: settings.get(name, dev[name]) for name in tuned},
  )
