# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from data_pipelines.tasks.figures import ScoreFigures
from launch.preflight.policy import DEFAULT
from launch.preflight.task import describe, judge_task
from tests.launch.preflight.task_test import SOUND, SPLIT, not_passed

LABELS = dataclasses.replace(SPLIT, by_class=(60, 90), most_labels=2)
SCORES = dataclasses.replace(
  SPLIT, by_class=(), scores=ScoreFigures(40, 0.0, 5.0)
)


def judged(split, train=None, labels=("a", "b"), **changes):
  figures = dataclasses.replace(
    SOUND,
    labels=labels,
    splits={"train": train or split, "dev": split, "test": split},
    **changes,
  )
  return not_passed(judge_task(figures, 128, 1.2, DEFAULT))


@pytest.mark.parametrize("split", [LABELS, SCORES])
def test_sound_data_of_each_target_pass(split):
  assert judged(split) == []


def test_joined_labels_are_several_labels():
  (finding,) = judged(SPLIT, joined_labels=("a,b",))
  assert (finding.name, finding.level) == ("joined_labels", "warn")
  assert "joined (a,b)" in finding.text
  assert "--config.task.target=labels" in finding.fix


def test_several_labels_of_which_no_text_has_two():
  train = dataclasses.replace(LABELS, most_labels=1)
  (finding,) = judged(LABELS, train)
  assert (finding.name, finding.level) == ("several_labels", "warn")
  assert "--config.task.target=label," in finding.fix


@pytest.mark.parametrize(
  ("scores", "name", "words"),
  [
    (ScoreFigures(2, 0.0, 1.0), "score_values", "have 2 different scores"),
    (ScoreFigures(90, -300.0, 9.0), "score_size", "between -300 and 9"),
  ],
)
def test_scores_that_are_none_are_named(scores, name, words):
  (finding,) = judged(SCORES, dataclasses.replace(SCORES, scores=scores))
  assert (finding.name, finding.level) == (name, "warn")
  assert words in finding.text


def test_equal_scores_fail_on_dev():
  same = dataclasses.replace(SCORES, scores=ScoreFigures(1, 3.0, 3.0))
  dev, test = judged(same, SCORES)
  assert (dev.name, dev.level, test.level) == ("scored_classes", "fail", "warn")
  assert "all examples of dev have one score" in dev.text


def test_each_target_is_described():
  figures = dataclasses.replace(SOUND, splits={"dev": SCORES, "test": LABELS})
  assert list(describe(figures, 64)) == [
    "dev: 100 examples with scores from 0 to 5, 0 cut at 64 tokens",
    "test: 100 examples of 2 classes (60 to 90 each), 0 cut at 64 tokens",
  ]
