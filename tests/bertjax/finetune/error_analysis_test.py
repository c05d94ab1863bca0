# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each task says which answers are wrong, the worst first, with their text."""

import numpy as np
import pytest

from bertjax.finetune.error_analysis import SHOWN, excerpt, find_worst
from launch import tasks
from tests.testing import wrong_answers


def analyze(kind):
  task, outputs, windows = wrong_answers.KINDS[kind]()
  assert task.analyze
  return task.analyze(outputs, windows)


def test_every_task_declares_its_mistakes():
  assert all(task.analyze for task in tasks.TASKS.values())
  made = {make()[0].name for make in wrong_answers.KINDS.values()}
  assert made == {*tasks.TASKS}


def test_the_surest_wrong_class_comes_first():
  found = analyze("classes")
  first, second = found.mistakes.worst
  assert first.wanted == ("late & lost",)
  assert first.given == ("pin",)
  assert first.texts == (wrong_answers.MARKUP, "its pair")
  assert second.texts == (wrong_answers.LONG,)
  assert found.mistakes.summary == "2 of 5 answers are wrong."
  assert found.confusion.counts_CC.tolist() == [[2, 0, 0], [1, 0, 1], [0, 0, 1]]


def test_of_several_labels_the_surest_wrong_one_counts():
  found = analyze("several_labels")
  first, second = found.mistakes.worst
  assert (first.wanted, first.given) == (("rude", "spam"), ("spam",))
  assert (second.wanted, second.given) == (("rude",), ("rude", "spam"))
  assert first.texts == ("bad",)
  # "rude" is true of all. Yes with 95.3 % and no with 99.8 % share a bin, half
  # of which is right; yes with 62.2 % has one of its own.
  assert len(found.class_errors) == 2
  assert found.class_errors[0] == pytest.approx(
    (2 * ((0.95257 + 0.99753) / 2 - 0.5) + 1 - 0.62246) / 3, abs=1e-4
  )


def test_scores_are_sorted_by_distance():
  found = analyze("scores")
  assert [each.cells for each in found.mistakes.worst] == [
    ("+2.00",),
    ("+0.50",),
    ("+0.00",),
  ]
  assert found.mistakes.worst[0].texts == ("e", "f")
  assert found.score_pairs.gold_N.tolist() == [1, 2, 3]


def test_a_wrong_choice_has_its_context_and_choices():
  (wrong,) = analyze("choices").mistakes.worst
  assert (wrong.wanted, wrong.given) == (("a pear",), ("a stone",))
  assert wrong.texts == ("She ate", "• a stone", "• a pear")


def test_entities_are_compared_at_their_words():
  found = analyze("tags")
  assert found.confusion.names == ("LOC", "PER", "nothing")
  assert found.confusion.counts_CC.tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
  first, second = found.mistakes.worst
  assert first.wanted == ("Ann (PER)", "Rome (LOC)")
  assert first.given == ("Ann (PER)", "Rome (PER)")
  assert second.wanted == ("York Road (LOC)",)
  assert second.given == ("York (LOC)",)


def test_a_wrong_answer_stands_in_an_excerpt_beside_the_right_one():
  first, second = analyze("questions").mistakes.worst
  assert (first.wanted, first.given) == (("Elms",), ("eels",))
  question, shown = first.texts
  assert question == "What grows?"
  assert "Elms grow" in shown
  assert "eels swim" in shown
  assert len(shown) < 620
  assert (second.wanted, second.given) == ((), ("eels",))


def test_an_excerpt_says_where_it_is_cut():
  text = "x" * 500
  assert excerpt("short", []) == "short"
  assert excerpt("short", [(0, 2), (1, 5)]) == "short"
  assert excerpt(text, [(250, 251)]) == "… " + "x" * 281 + " …"
  assert excerpt(text, [(0, 1), (499, 500)]).count(" … ") == 1


def test_only_a_few_are_shown():
  worst = find_worst(np.arange(100.0), np.arange(100) != 99)
  assert worst == list(range(98, 98 - SHOWN, -1))
