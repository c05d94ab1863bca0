# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each task says what it found in names of its own."""

import dataclasses

from bertjax.finetune import (
  classification,
  multi_label,
  multiple_choice,
  question_answering,
  regression,
  tagging,
)
from launch.inference.records import has_alternatives, make_record, shorten

OTHER = dataclasses.replace(
  classification.TASK, name="other", answer_columns=("text", "entity")
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
    "probabilities": {"a": 0.7, "b": 0.6},
  }


def test_labels_that_are_given_are_never_cut():
  answers = [
    *(("a", 0.7, True), ("b", 0.6, True)),
    *(("c", 0.1, False), ("d", 0.0, False)),
  ]
  for top_k, count in ((1, 2), (3, 3), (9, 4), (None, 4)):
    assert shorten(multi_label.TASK, answers, top_k) == answers[:count]
    record = make_record(multi_label.TASK, answers, top_k)
    assert list(record["probabilities"]) == list("abcd"[:count])


def test_a_score_is_a_number():
  assert make_record(regression.TASK, [(3.5,)]) == {"score": 3.5}


def test_answers_that_belong_together_are_never_cut():
  answers = [("Bonn", "place"), ("Ada", "person")]
  assert make_record(OTHER, answers, 1) == {
    "answers": [
      {"text": "Bonn", "entity": "place"},
      {"text": "Ada", "entity": "person"},
    ]
  }
  assert make_record(OTHER, []) == {"answers": []}
  assert shorten(OTHER, answers, 1) == answers


def test_entities_are_never_cut():
  answers = [
    ("Bonn", "place", 0.9, 0, 0, 0, 4),
    ("Ada", "person", 0.8, 2, 2, 8, 11),
  ]
  (first, second) = make_record(tagging.TASK, answers, 1)["entities"]
  assert (first["entity"], first["type"], first["stop"]) == ("Bonn", "place", 4)
  assert (second["first_word"], second["start"]) == (2, 8)
  assert make_record(tagging.TASK, []) == {"entities": []}


def test_a_choice_has_its_number_and_alternatives():
  answers = [("and", 0.6, 2), ("or", 0.3, 0), ("not", 0.1, 1)]
  assert has_alternatives(multiple_choice.TASK)
  assert make_record(multiple_choice.TASK, answers, 2) == {
    "choice": "and",
    "probability": 0.6,
    "number": 2,
    "alternatives": [{"choice": "or", "probability": 0.3, "number": 0}],
  }


def test_an_answer_has_its_place_and_alternatives():
  answers = [("", 0.6, 0, 0), ("Bonn", 0.3, 4, 8), ("Ada", 0.1, 0, 3)]
  assert make_record(question_answering.TASK, answers, 2) == {
    "answer": "",
    "probability": 0.6,
    "start": 0,
    "stop": 0,
    "alternatives": [
      {"answer": "Bonn", "probability": 0.3, "start": 4, "stop": 8}
    ],
  }
