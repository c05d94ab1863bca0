# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Whether margins were stated before a study had a result.

A margin that is chosen after the differences are known makes any two arms
equivalent. Margins may be given later nevertheless, and the report says so.
"""

import json
from collections.abc import Sequence

from bertjax import files
from bertjax.config import SweepConfig
from bertjax.sweep.margins import read_margins
from bertjax.trials.store import Trial, TrialStore

# In the folder of a study: its margins while no trial was done.
STATED = "margins.json"


def note_margins(
  config: SweepConfig, store: TrialStore, trials: Sequence[Trial]
) -> None:
  """Write the margins of a study, unless one of its trials is done."""
  if all(store.result(trial) is None for trial in trials):
    store.guard()
    margins = read_margins(config.margins)
    files.write_json(store.folder / STATED, margins, allow_nan=False)


def describe_margins(config: SweepConfig, store: TrialStore) -> list[str]:
  """Return which margins were not stated before, in sentences for the report.

  Studies of earlier versions did not write their margins down.
  """
  margins = read_margins(config.margins)
  path = store.folder / STATED
  if not path.is_file():
    return [
      f"It was not written down whether the margin of {metric}, {margin:g}, "
      "was stated before the first result."
      for metric, margin in margins.items()
    ]
  stated = json.loads(path.read_bytes())
  return [
    f"The margin of {metric}, {margin:g}, was not stated before the first "
    f"result{_before(stated.get(metric))}: it may have been chosen to fit."
    for metric, margin in margins.items()
    if stated.get(metric) != margin
  ]


def _before(margin: float | None) -> str:
  return "" if margin is None else f", when it was {margin:g}"
