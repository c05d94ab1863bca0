# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Results of an arm of three classes that was never run."""

from bertjax.finetune.outcome import ExperimentResult
from bertjax.finetune.results import ArmResult, never_predicted
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.trial import TrialResult
from bertjax.trials.finding import FoundWrong
from bertjax.trials.statistics import summarize

LABELS = ("ham", "sp|am", "rare")
SCORES = {"accuracy": 0.5, "macro_f1": 0.4, "loss": 1.0}


def make_run(predictions, right):
  counts = {
    "dev": ClassCounts((4, 3, 0), (5, 2, 0), (3, 2, 0)),
    "test": ClassCounts((6, 3, 1), predictions, right),
  }
  return TrialResult(1, SCORES, SCORES, 0.1, (), counts)


RUNS = [make_run((8, 2, 0), (6, 1, 0)), make_run((10, 0, 0), (6, 0, 0))]


def make_result(classes, scored="test", diverged=None):
  summaries = {name: summarize([value]) for name, value in SCORES.items()}
  scores = ExperimentResult(
    learning_rate=1e-3,
    selection=(),
    metric="accuracy",
    seeds=(0, 1),
    best_steps=(1, 1),
    dev=summaries,
    test=summaries if scored == "test" else {},
    diverged=diverged or {},
  )
  return ArmResult(
    init="bundle",
    task="t",
    labels=LABELS,
    examples={"train": 20, "dev": 7, "test": 10}
    if scored == "test"
    else {"train": 20, "dev": 7},
    steps=1,
    scores=scores,
    scored=scored,
    classes=classes,
    never_predicted=never_predicted(classes, scored),
  )


def make_found(name="shared_texts", level="warn", figure=54):
  """Return a finding of some check."""
  text = f"{figure} of 60 are known"
  line = f"{text} ({name} {figure}, limit 0); fix: remove them"
  return FoundWrong(
    *(name, level, text, "remove them", float(figure), 0.0),
    allowed=level == "fail",
    line=line,
  )
