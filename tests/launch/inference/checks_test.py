# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a model does not read is told, however little it is."""

import dataclasses

import pytest

from data_pipelines.tasks.features import EncodedTexts
from launch.inference.checks import check_texts, total
from launch.preflight.policy import DEFAULT, Policy


def counted(cut=0, unknown=0):
  return EncodedTexts(
    {}, cut=cut, empty=1, tokens=5000, unknown=unknown, words=9
  )


def messages(caplog, *arguments):
  caplog.clear()
  check_texts(*arguments)
  return [record.message for record in caplog.records]


def test_a_figure_within_its_limit_is_told_without_a_fix(caplog):
  assert not messages(caplog, counted(), 1000, 16, DEFAULT)
  assert messages(caplog, counted(1, 2), 1000, 16, DEFAULT) == [
    "1 of 1,000 texts are longer than 16 tokens and lose their end",
    "2 of 5,000 tokens are unknown to this model",
  ]


def test_a_figure_beyond_its_limit_has_the_fix(caplog):
  (told,) = messages(caplog, counted(100), 1000, 16, DEFAULT, "give less")
  assert told.endswith("; fix: give less")
  (told,) = messages(caplog, counted(100), 1000, 16, DEFAULT)
  assert told.endswith("larger --config.seq_length")
  strict = Policy(strict=frozenset(["cut_texts"]))
  with pytest.raises(ValueError, match="100 of 1,000 texts are longer"):
    check_texts(counted(100), 1000, 16, strict)


def test_parts_are_counted_together():
  found = total([counted(1, 2), counted(3, 4)])
  assert (found.cut, found.empty, found.tokens) == (4, 2, 10000)
  assert (found.unknown, found.words) == (6, 18)
  assert total([]).tokens == 0


def test_questions_that_are_cut_have_a_fix_of_their_own(caplog):
  (told,) = messages(caplog, questions_cut(2), 10, 16, DEFAULT)
  assert told.startswith("2 of 10 questions have more tokens than max_question")
  assert told.endswith("larger --config.task.max_question_length")
  assert "seq_length" not in told
  strict = Policy(strict=frozenset(["cut_questions"]))
  with pytest.raises(ValueError, match="2 of 10 questions have more tokens"):
    check_texts(questions_cut(2), 10, 16, strict)
  assert total([questions_cut(2), questions_cut(1)]).cut_questions == 3


def questions_cut(count):
  return dataclasses.replace(counted(), cut_questions=count)
