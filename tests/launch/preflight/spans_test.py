# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from launch.preflight.policy import DEFAULT
from launch.preflight.task import describe, judge_task
from tests.launch.preflight.task_test import SOUND, SPLIT, not_passed

SPANS = dataclasses.replace(
  SPLIT,
  windows=180,
  by_class=(60, 20, 90),
  invalid_tags=0,
  cut_questions=0,
  lost_answers=0,
)


def judged(**changes):
  split = dataclasses.replace(SPANS, **changes)
  splits = {"train": SPANS, "dev": split, "test": SPANS}
  figures = dataclasses.replace(SOUND, labels=("a", "b", "O"), splits=splits)
  return not_passed(judge_task(figures, 128, 1.2, DEFAULT))


def test_sound_spans_pass():
  assert judged() == []
  lines = list(describe(dataclasses.replace(SOUND, splits={"dev": SPANS}), 9))
  assert lines[0].endswith("each), in 180 windows of at most 9 tokens")


@pytest.mark.parametrize(
  ("changes", "name", "words"),
  [
    ({"invalid_tags": 4}, "invalid_tags", "4 of 80 entities of dev begin with"),
    ({"cut_questions": 2}, "cut_questions", "2 of 100 questions of dev lose"),
    ({"lost_answers": 3}, "lost_answers", "are scored, but in no loss"),
  ],
)
def test_what_is_odd_about_spans_is_told(changes, name, words):
  (finding,) = judged(**changes)
  assert (finding.name, finding.level) == (name, "warn")
  assert words in finding.text
