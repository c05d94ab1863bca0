# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that have learned nothing from the texts, though they are finite."""

from collections.abc import Mapping

from bertjax.finetune.trial import TrialResult


def degenerate_seeds(runs: Mapping[int, TrialResult]) -> tuple[int, ...]:
  """Return the seeds whose runs give every example of dev one answer, or none.

  Such a run has learned nothing from the texts, but is finite, unlike one that
  has diverged. It predicts one class, though dev has several, or none, though
  dev has some. Where outputs are scores, it predicts one number: then every
  correlation is exactly 0. Other tasks declare what it is
  (`FinetuneTask.is_degenerate`); runs of earlier versions of them are not
  judged.

  Args:
    runs: the result of each seed.
  """
  return tuple(seed for seed, run in runs.items() if _is_degenerate(run))


def _is_degenerate(run: TrialResult) -> bool:
  if run.is_degenerate is not None:
    return run.is_degenerate
  counts = run.classes.get("dev")
  if counts is None:
    correlations = {"pearson", "spearman"} & {*run.dev}
    return bool(correlations) and not any(run.dev[n] for n in correlations)
  labeled, predicted = (
    sum(count > 0 for count in each)
    for each in (counts.labels, counts.predictions)
  )
  return predicted < min(labeled, 2)
