# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The arm that dev chooses, and its score on test."""

import dataclasses

from bertjax.sweep.comparison import Summaries
from bertjax.trials.results import JsonResult
from bertjax.trials.statistics import Summary


@dataclasses.dataclass(frozen=True)
class Choice(JsonResult):
  """The arm with the best mean on dev.

  Attributes:
    arm: its name; of equal arms the first.
    metric: the score that chose it.
    dev: its score on dev, which is too good: it was chosen by it.
    test: its score on test.
    candidates: number of arms that it was chosen from.
  """

  arm: str
  metric: str
  dev: Summary
  test: Summary
  candidates: int

  def __str__(self) -> str:
    return (
      f"Dev chooses {self.arm} of {self.candidates} arms: dev {self.metric} "
      f"{self.dev}, test {self.metric} {self.test} over "
      f"{len(self.test.values)} seeds."
    )


def choose_on_dev(arms: Summaries, metric: str) -> Choice:
  """Choose an arm by its mean score on dev; a higher score is better.

  Args:
    arms: arm → metric → summary, with dev_METRIC and test_METRIC.
    metric: name of the score.
  """
  best = max(arms, key=lambda arm: arms[arm][f"dev_{metric}"].mean)
  found = arms[best]
  return Choice(
    arm=best,
    metric=metric,
    dev=found[f"dev_{metric}"],
    test=found[f"test_{metric}"],
    candidates=len(arms),
  )
