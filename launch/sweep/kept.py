# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Answers to single test examples, as trials keep them and as they are used."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertjax.trials.answers import read_right
from bertjax.trials.intervals import Scored
from bertjax.trials.resampling import score_draws
from launch.preflight.findings import listed

# In the folder of a trial: the workdir of its pre-training.
PRETRAINED = "pretrain"
# In the folder of a trial: probes/STEP/NAME.json, and the folders of tasks.
PROBES_FOLDER = "probes"
# The folder of the only task, at the end of a run.
ONLY = "finetune"
# The score of which right answers are kept, as a text of digits.
RIGHT = "accuracy"
_ROUNDING = 1e-6
# What true answers are called, in what is kept of examples.
_TRUE = ("label", "true", "wanted")


class Kept(NamedTuple):
  """What a trial keeps of a metric.

  Attributes:
    score: name of the score.
    columns: {name: values}, of shape [answers, test examples].
  """

  score: str
  columns: Mapping[str, NDArray[np.float64]]

  @property
  def examples(self) -> int:
    """The number of test examples."""
    return next(iter(self.columns.values())).shape[1]

  def values(self, counts_DN: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean score of the answers for each draw of examples."""
    answers = len(next(iter(self.columns.values())))
    rows = [
      {name: each_AN[row] for name, each_AN in self.columns.items()}
      for row in range(answers)
    ]
    values_AD = [score_draws(self.score, row, counts_DN) for row in rows]
    return np.mean(values_AD, axis=0)


def parse_answers(answers: Sequence[Any]) -> Kept:
  """Return answers of `Found.examples`, of which there is one or more.

  Raises:
    ValueError: they are of no use, and why.
  """
  columns = [
    {RIGHT: read_right(each)} if isinstance(each, str) else each["columns"]
    for each in answers
  ]
  sizes = {len(values) for each in columns for values in each.values()}
  if len(sizes) > 1:
    shown = " and ".join(map(str, sorted(sizes)))
    raise ValueError(f"kept answers to {shown} test examples")
  first = answers[0]
  return Kept(
    RIGHT if isinstance(first, str) else first["score"],
    {
      name: np.asarray([each[name] for each in columns], np.float64)
      for name in columns[0]
    },
  )


def find_problem(kept: Kept, value: float, other: Kept | None = None) -> str:
  """Return why the answers of a trial are of no use; "" where they are.

  Args:
    kept: the answers.
    value: what the result of the trial has.
    other: those of another trial, which must be to the same examples; None
      compares none.
  """
  (found,) = kept.values(np.ones((1, kept.examples), np.int64))
  if abs(found - value) > _ROUNDING:
    return f"kept answers that score {found:.4f}, not {value:.4f} as its result"
  if other is not None and kept.examples != other.examples:
    return f"answered {kept.examples} test examples, not {other.examples}"
  if other is not None and any(
    not np.array_equal(kept.columns[name][0], other.columns[name][0])
    for name in _TRUE
    if name in kept.columns and name in other.columns
  ):
    return "answered other test examples than other trials"
  if kept.examples < 2:
    return "answered one test example, which cannot be drawn from"
  return ""


def describe_missing(
  metric: str, probe: str, wrong: Mapping[str, str], trials: int
) -> str:
  """Return what is missing of a metric, why, and what to do.

  Args:
    metric: its name.
    probe: the files that a trial keeps of its probe begin so; "" where the
      score does not follow from single answers.
    wrong: {name of a trial: what is wrong with its answers}.
    trials: number of trials that have the metric.
  """
  words = metric.replace("_", " ")
  text = f"No interval over other test examples for {words}: "
  if not probe:
    return f"{text}the score does not follow from what is kept of an example."
  by_reason: dict[str, list[str]] = {}
  for name, why in wrong.items():
    by_reason.setdefault(why, []).append(name)
  reasons = []
  for why, names in by_reason.items():
    whose = "all trials" if len(names) == trials else listed(names)
    reasons.append(f"{whose} {why}")
  folders = f"{PROBES_FOLDER}/step_*/{probe}*"
  if probe == ONLY:  # at the end of a run
    folders += f" and {ONLY}"
  return (
    f"{text}{'; '.join(reasons)}. To have one, remove result.json and "
    f"{folders} in the folders of these trials, and give the same command "
    "again."
  )


def subtract(
  ours: Sequence[Kept], theirs: Sequence[Kept]
) -> NDArray[np.float64] | Scored:
  """Return the differences of trials by seed, to be drawn from."""
  if all(each.score in each.columns for each in (*ours, *theirs)):
    ours_SN, theirs_SN = (
      np.asarray([each.columns[each.score].mean(axis=0) for each in kept])
      for kept in (ours, theirs)
    )
    return ours_SN - theirs_SN

  pairs, count_K = _by_kind(list(zip(ours, theirs, strict=True)))

  def differences(counts_DK: NDArray[Any]) -> NDArray[np.float64]:
    values = [
      our.values(counts_DK) - their.values(counts_DK) for our, their in pairs
    ]
    return np.stack(values, axis=1)

  return Scored(len(pairs), count_K, differences)


def _by_kind(
  pairs: Sequence[tuple[Kept, Kept]],
) -> tuple[list[tuple[Kept, Kept]], NDArray[np.int64]]:
  """Return one example for each kind, and the number of each.

  Classes have few kinds, so that a draw of 40,000 examples is one of some
  dozens of counts.
  """
  rows = [
    each_AN
    for pair in pairs
    for kept in pair
    for each_AN in kept.columns.values()
  ]
  _, firsts_K, count_K = np.unique(
    np.concatenate(rows), axis=1, return_index=True, return_counts=True
  )
  reduced = [
    (_take(our, firsts_K), _take(their, firsts_K)) for our, their in pairs
  ]
  return reduced, count_K


def _take(kept: Kept, places: NDArray[np.int64]) -> Kept:
  columns = {name: each[:, places] for name, each in kept.columns.items()}
  return kept._replace(columns=columns)
