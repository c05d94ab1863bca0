# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which trials of an experiment run at once."""

from collections.abc import Callable, Sequence

from bertjax.config import FinetuneConfig
from bertjax.finetune.checks import must_run_alone
from bertjax.finetune.fitting import count_that_fits
from bertjax.finetune.trial import TrialInputs
from bertjax.trials.store import Trial

# Takes data, programs and the seeds of trials that run at once; may raise.
Check = Callable[[TrialInputs, Sequence[int]], None]


class Grouping:
  """Puts trials into groups that run at once, as `runs_at_once` says.

  Args:
    config: how many run at once.
    inputs: makes data and programs, or returns those that it has made.
    check: called before so many trials run at once for the first time.
  """

  def __init__(
    self,
    config: FinetuneConfig,
    inputs: Callable[[], TrialInputs],
    check: Check,
  ) -> None:
    self._config = config
    self._inputs = inputs
    self._check = check
    self._checked: set[int] = set()
    self._fitting: dict[int, int] = {}

  def groups(self, left: Sequence[Trial]) -> list[Sequence[Trial]]:
    """Return the trials that run at once, in groups of nearly one size."""
    if len(left) < 2 or must_run_alone(self._config):
      most = 1
    else:
      most = self._config.runs_at_once or self._count_that_fits(left)
    # 4 trials of which 3 fit are 2 and 2: each size is compiled anew.
    size = -(-len(left) // -(-len(left) // most)) if left else 1
    return [left[i : i + size] for i in range(0, len(left), size)]

  def check(self, group: Sequence[Trial]) -> None:
    """Check the first group of each size."""
    if len(group) not in self._checked:
      self._check(self._inputs(), _seeds(group))
      self._checked.add(len(group))

  def _count_that_fits(self, left: Sequence[Trial]) -> int:
    if len(left) not in self._fitting:
      self._fitting[len(left)] = count_that_fits(self._inputs(), _seeds(left))
    return self._fitting[len(left)]


def _seeds(trials: Sequence[Trial]) -> list[int]:
  return [trial.settings["seed"] for trial in trials]
