# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page that people read: scores, what is wrong with them, each class."""

import dataclasses

import pytest

from bertjax.finetune import multi_label, regression
from bertjax.finetune.classification import TASK
from bertjax.finetune.outcome import Candidate
from bertjax.finetune.results import score_classes
from bertjax.finetune.results_page import columns, page
from bertjax.trials.statistics import summarize
from tests.testing.arm_results import LABELS, RUNS, make_found, make_result


def test_the_page_shows_each_class_and_what_is_to_know():
  text = page(make_result(score_classes(LABELS, RUNS, "test")), TASK)
  rows = [line.split(" | ") for line in text.splitlines()]
  (rare,) = (row for row in rows if row[0].startswith("| rare"))
  assert [cell.strip(" |") for cell in rare[1:]] == [
    *("0", "1", "never", "–", "0.0000 ± 0.0000", "0.0000 ± 0.0000")
  ]
  assert "Never predicted: rare." in text
  assert "sp\\|am" in text
  assert "no labeled test" not in text
  assert "diverged" not in text
  text = page(make_result((), "dev", {"2": "loss is nan"}), TASK)
  assert "There is no labeled test split. All scores are those of dev" in text
  assert "1 of 3 seeds diverged and are not in the scores: seed 2." in text


def test_the_best_of_several_is_shown_with_their_number():
  result = make_result(())
  scores = dataclasses.replace(
    result.scores,
    dev={"accuracy": summarize([0.4, 0.6])},
    selection=(
      Candidate(1e-3, summarize([0.4])),
      Candidate(2e-3, None),
      Candidate(3e-3, summarize([0.1])),
    ),
  )
  result = dataclasses.replace(result, scores=scores)
  assert result.to_json()["expected_best"] == {
    "seeds": [0.5, 0.6],
    "rates": [0.25, 0.4],
  }
  text = page(result, TASK)
  assert "best accuracy on dev of n seeds, by n: 1: 0.5000, 2: 0.6000." in text
  assert "best accuracy on dev of n rates, by n: 1: 0.2500, 2: 0.4000." in text
  # One seed and one rate are the best of one.
  assert "Expected best" not in page(make_result(()), TASK)


def test_the_score_that_chose_is_a_column_of_both_splits_once():
  assert columns(TASK, ["accuracy"]) == TASK.columns
  assert [*columns(TASK, ["matthews"])][:3] == [
    *("dev matthews", "test matthews", "dev accuracy")
  ]
  assert [*columns(TASK, ["macro_f1", "macro_f1"])] == [
    *("dev macro F1", "dev accuracy", "test accuracy", "test macro F1")
  ]
  result = make_result(())
  scores = dataclasses.replace(
    result.scores,
    metric="matthews",
    dev={**result.scores.dev, "matthews": summarize([0.25])},
    test={**result.scores.test, "matthews": summarize([0.125])},
  )
  text = page(dataclasses.replace(result, scores=scores), TASK)
  header, _, row = text.splitlines()[:3]
  assert "| dev matthews | test matthews | dev accuracy |" in header
  assert "|       0.2500 |        0.1250 |" in row


def test_without_test_all_columns_are_of_dev():
  assert columns(regression.TASK, ["spearman"], ["dev"]) == {
    "dev Pearson": ("dev", "pearson"),
    "dev Spearman": ("dev", "spearman"),
  }
  assert [*columns(TASK, ["matthews"], ["dev"])] == [
    *("dev matthews", "dev accuracy", "dev macro F1")
  ]


def test_every_finding_is_on_the_page_before_each_class():
  result = make_result(score_classes(LABELS, RUNS, "test"))
  found = (make_found(), make_found("scored_classes", "fail"))
  text = page(dataclasses.replace(result, findings=found), TASK)
  top = text[: text.index("Each class on test")]
  for each in found:
    assert f"\n\nWarning: {each.sentence}\n\n" in top
  assert found[0].sentence == (
    "54 of 60 are known (shared_texts 54, limit 0); fix: remove them."
  )


@pytest.mark.parametrize(
  ("name", "changes"),
  [
    ("degenerate_seeds", {"degenerate_seeds": (1,)}),
    ("never_predicted", {"never_predicted": ("rare",)}),
  ],
)
def test_what_a_finding_tells_is_not_told_twice(name, changes):
  plain = make_result(())
  told = dataclasses.replace(plain, **changes)
  assert page(told, TASK) != page(plain, TASK)
  found = (make_found(name),)
  assert page(dataclasses.replace(told, findings=found), TASK) == page(
    dataclasses.replace(plain, findings=found), TASK
  )


def test_a_class_that_never_occurs_has_no_f1_and_the_page_says_so():
  # On dev no example is rare, and nothing is predicted as that.
  result = make_result(score_classes(LABELS, RUNS, "dev"), "dev")
  for task, words in (
    (TASK, "Macro F1 leaves them out."),
    (multi_label.TASK, "Macro F1 counts them as 0."),
  ):
    result = dataclasses.replace(result, scores=scores_of(result, task))
    text = page(result, task)
    (row,) = (line for line in text.splitlines() if line.startswith("| rare"))
    assert [cell.strip() for cell in row.split("|")][-4:-1] == ["–", "–", "–"]
    assert f"or is given them: rare. {words}" in text
  classes = score_classes(LABELS, RUNS, "test")  # a rare one has an example
  assert "Without F1" not in page(make_result(classes), TASK)


def scores_of(result, task):
  summaries = {name: summarize([0.5]) for name in (*task.metrics, "loss")}
  return dataclasses.replace(
    result.scores, dev=summaries, metric=task.metrics[0]
  )
