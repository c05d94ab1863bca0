# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from bertjax.finetune.scores import squad


@pytest.mark.parametrize(
  ("text", "normalized"),
  [
    ("The  U.S.\tArmy, ", "us army"),
    ("a an the", ""),
    ("The-end", "theend"),  # punctuation goes first, so no article is left
    ("theatre of an Era", "theatre of era"),
    ("«Ça»—l'été", "«ça»—lété"),  # only ASCII punctuation goes
    ("x\u00a0the\u3000y", "x y"),  # white space of Unicode
    ("İstanbul", "i̇stanbul"),  # lower case of two code points
    ("$5,000.50", "500050"),
    ("thé", "thé"),  # not an article
  ],
)
def test_normalization_is_the_official_one(text, normalized):
  assert squad.normalize_answer(text) == normalized


@pytest.mark.parametrize(
  ("prediction", "answers", "first", "second"),
  [  # (exact, F1) of evaluate-v1.1.py and of evaluate-v2.0.py
    ("the cat", ["Cat."], (1, 1), (1, 1)),
    ("black cat", ["a cat", "the dog"], (0, 2 / 3), (0, 2 / 3)),
    ("cat cat", ["cat"], (0, 2 / 3), (0, 2 / 3)),  # words count as often
    ("dog", ["cat"], (0, 0), (0, 0)),
    ("", ["cat"], (0, 0), (0, 0)),
    ("the", ["a"], (1, 0), (1, 1)),  # both are empty
    ("", ["..."], (1, 0), (1, 1)),
    ("cat", ["the", "cat"], (1, 1), (1, 1)),
    ("the", ["the", "cat"], (1, 0), (0, 0)),  # 2.0 drops the empty answer
  ],
)
def test_scores_are_the_official_ones(prediction, answers, first, second):
  for null_answers, expected in ((False, first), (True, second)):
    found = squad.score_answers(
      [prediction], [answers], null_answers=null_answers
    )
    assert (found["exact"][0], found["f1"][0]) == pytest.approx(expected)


@pytest.mark.parametrize(
  ("prediction", "score"), [("", 1), ("cat", 0), ("the", 1)]
)
def test_a_question_without_an_answer_wants_the_empty_text(prediction, score):
  found = squad.score_answers([prediction], [[]], null_answers=True)
  assert found["exact"] == found["f1"] == score


def test_means_are_of_both_sorts_of_question():
  scores = squad.score_answers(
    ["cat", "dog", ""], [["cat"], ["the dog runs"], []], null_answers=True
  )
  has_answer_N = np.asarray([True, True, False])
  assert squad.mean_scores(scores, has_answer_N) == pytest.approx(
    {
      "exact": 2 / 3,
      "f1": (1 + 2 / 3 + 1) / 3,
      "has_answer_exact": 0.5,
      "no_answer_exact": 1,
      "has_answer_f1": (1 + 2 / 3) / 2,
      "no_answer_f1": 1,
    }
  )
  only = {name: each[:2] for name, each in scores.items()}
  assert set(squad.mean_scores(only, has_answer_N[:2])) == {"exact", "f1"}


def accuracy_at(threshold, scores_N, has_answer_N, odds_N):
  silent_N = odds_N > threshold
  return np.where(silent_N, ~has_answer_N, scores_N).mean()


def test_no_threshold_is_better():
  draws = np.random.default_rng(0)
  for _ in range(300):
    count = int(draws.integers(1, 9))
    has_answer_N = draws.random(count) < 0.5
    scores_N = np.where(has_answer_N, draws.random(count).round(1), 0)
    odds_N = draws.normal(size=count).round(draws.integers(0, 3))  # with ties
    found = squad.best_null_threshold(scores_N, has_answer_N, odds_N)
    assert found.score == pytest.approx(
      accuracy_at(found.value, scores_N, has_answer_N, odds_N)
    )
    best = max(
      accuracy_at(threshold, scores_N, has_answer_N, odds_N)
      for threshold in (-math.inf, *odds_N)
    )
    assert found.score == pytest.approx(best)


def test_the_threshold_is_the_official_one():
  # Sorted odds: answered rightly, no answer, answered rightly, no answer.
  found = squad.best_null_threshold(
    np.asarray([1.0, 0, 1, 0]),
    np.asarray([True, False, True, False]),
    np.asarray([0.1, 0.2, 0.3, 0.9]),
  )
  assert found == (0.1, 0.75)
  # Silence is best: the threshold is below all odds.
  silent = squad.best_null_threshold(
    np.zeros(2), np.asarray([False, True]), np.asarray([0.4, 0.6])
  )
  assert 0.39 < silent.value < 0.4
  assert silent.score == 0.5


def test_no_question_is_refused():
  with pytest.raises(ValueError, match="no examples"):
    squad.score_answers([], [], null_answers=False)
  with pytest.raises(ValueError, match="have 1 and 2 examples"):
    squad.score_answers([""], [[], []], null_answers=True)
