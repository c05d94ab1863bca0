# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Findings of trials, each check once."""

import dataclasses

import pytest

from bertjax.sweep.findings import (
  InTrial,
  StudyFinding,
  TrialFinding,
  group_findings,
)
from tests.testing.arm_results import make_found

KNOWN = {"a": (0, 1), "b,c": (0, 1)}
EPOCHS = make_found("epochs")


def told(arm, seed, found, of="pre-training"):
  return InTrial(arm, seed, TrialFinding(of, found))


@pytest.mark.parametrize(
  ("trials", "where"),
  [
    ([("a", 0), ("a", 1), ("b,c", 0), ("b,c", 1)], "all trials"),
    ([("a", 0), ("a", 1)], "arm a"),
    ([("a", 1)], "arm a (seed 1)"),
    ([("b,c", 1), ("a", 1), ("a", 0)], "arms b,c (seed 1); a"),
  ],
)
def test_a_finding_is_told_once_with_the_trials_that_have_it(trials, where):
  (found,) = group_findings(
    [told(arm, seed, EPOCHS) for arm, seed in trials], KNOWN
  )
  assert found.sentences == [f"Pre-training in {where}: {EPOCHS.line}."]
  assert found.summary == found.sentences[0]
  assert StudyFinding.from_json(found.to_json()) == found


def test_no_finding_of_a_trial_is_lost_and_the_worst_is_first():
  """Whatever figures and parts they have."""
  other = dataclasses.replace(EPOCHS, fix="read them")
  given = [
    told("a", 0, EPOCHS),
    told("a", 1, make_found("epochs", figure=59)),
    told("b,c", 0, make_found("epochs", figure=3)),
    told("a", 0, EPOCHS, of="probe rte"),
    told("a", 0, other),
    told("b,c", 1, make_found(level="fail")),
  ]
  found = group_findings(given, KNOWN)
  assert [(each.of, each.name) for each in found] == [
    ("pre-training", "shared_texts"),  # it fails, and was allowed
    ("pre-training", "epochs"),
    ("probe rte", "epochs"),
    ("pre-training", "epochs"),  # of something else, as its fix is another
  ]
  back = [
    told(arm, seed, variant.found, each.of)
    for each in found
    for variant in each.variants
    for arm, seeds in variant.trials.items()
    for seed in seeds
  ]
  assert sorted(map(repr, back)) == sorted(map(repr, given))
  figures = [each.found.figure for each in found[1].variants]
  assert figures == [59, 54, 3]
  assert "2 more findings of this check." in found[1].summary
