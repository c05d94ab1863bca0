# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each task says what it found in names of its own."""

import dataclasses

from bertjax.finetune import classification, multi_label, regression
from launch.inference.records import make_record, shorten

TAGGING = dataclasses.replace(
  classification.TASK, name="tagging", answer_columns=("text", "entity")
)


def test_a_class_has_its_probability_and_those_of_others():
  answers = [("yes", 0.7), ("no", 0.2), ("perhaps", 0.1)]
  assert make_record(classification.TASK, answers, 2) == {
    "label": "yes",
    "probability": 0.7,
    "probabilities": {"yes": 0.7, "no": 0.2},
  }
  assert len(shorten(classification.TASK, answers, 2)) == 2


def test_several_classes_are_those_that_are_given():
  answers = [("a", 0.7, True), ("b", 0.6, True), ("c", 0.1, False)]
  assert make_record(multi_label.TASK, answers, 1) == {
    "labels": ["a", "b"],
    "probabilities": {"a": 0.7},
  }


def test_a_score_is_a_number():
  assert make_record(regression.TASK, [(3.5,)]) == {"score": 3.5}


def test_answers_that_belong_together_are_never_cut():
  answers = [("Bonn", "place"), ("Ada", "person")]
  assert make_record(TAGGING, answers, 1) == {
    "answers": [
      {"text": "Bonn", "entity": "place"},
      {"text": "Ada", "entity": "person"},
    ]
  }
  assert make_record(TAGGING, []) == {"answers": []}
  assert shorten(TAGGING, answers, 1) == answers
