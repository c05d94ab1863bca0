# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Exact match and F1 of answers in text, as SQuAD's official scripts give.

They compare texts without case, ASCII punctuation, English articles and
repeated white space (evaluate-v1.1.py and evaluate-v2.0.py of Rajpurkar et
al.). The scores are shares; the scripts print 100 times as much.
"""

import collections
import re
import string
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bertjax.finetune.scores.checks import check_examples

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Threshold(NamedTuple):
  """A threshold, and the mean score of answers with it."""

  value: float
  score: float


def normalize_answer(text: str) -> str:
  """Return a text as the official scripts compare it."""
  text = text.lower().translate(_NO_PUNCTUATION)
  return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
  """Return 1 if the prediction equals an answer, else 0.

  Args:
    prediction: predicted text; "" for no answer.
    answers: the true ones; none for a question that has none.
  """
  predicted = normalize_answer(prediction)
  return float(
    predicted in {normalize_answer(each) for each in answers or ("",)}
  )


def token_f1(
  prediction: str, answers: Sequence[str], *, null_answers: bool
) -> float:
  """Return the F1 of the words shared with the answer that shares most.

  Args:
    prediction: predicted text; "" for no answer.
    answers: the true ones; none for a question that has none.
    null_answers: SQuAD 2.0, where an empty text is an answer: it has F1 1 with
      an empty text. In SQuAD 1.1 two texts without a word have F1 0.
  """
  return max(
    _f1(
      normalize_answer(prediction).split(),
      normalize_answer(answer).split(),
      null_answers,
    )
    for answer in answers or ("",)
  )


def score_answers(
  predictions: Sequence[str],
  answers: Sequence[Sequence[str]],
  *,
  null_answers: bool,
) -> dict[str, np.ndarray]:
  """Return `exact` and `f1` of each question, float64.

  Args:
    predictions: a text for each question; "" for no answer.
    answers: the true texts of each question; none if it has no answer.
    null_answers: whether there are questions without an answer (SQuAD 2.0).
      Then answers of punctuation and articles alone do not count as answers.

  Raises:
    ValueError: there is no question, or the lengths differ.
  """
  check_examples(predictions, answers)
  if null_answers:
    answers = [
      [text for text in each if normalize_answer(text)] for each in answers
    ]
  pairs = list(zip(predictions, answers, strict=True))
  return {
    "exact": np.asarray([exact_match(*pair) for pair in pairs]),
    "f1": np.asarray(
      [token_f1(*pair, null_answers=null_answers) for pair in pairs]
    ),
  }


def mean_scores(
  scores: Mapping[str, np.ndarray], has_answer_N: np.ndarray
) -> dict[str, float]:
  """Return the means of `score_answers`, and those of both sorts of question.

  Args:
    scores: {name: score of each question}.
    has_answer_N: bool, whether the question has an answer. If some questions
      have one and others have none, `has_answer_NAME` and `no_answer_NAME`
      are means of each sort.
  """
  found = {name: float(each.mean()) for name, each in scores.items()}
  if has_answer_N.any() and not has_answer_N.all():
    for name, each in scores.items():
      found[f"has_answer_{name}"] = float(each[has_answer_N].mean())
      found[f"no_answer_{name}"] = float(each[~has_answer_N].mean())
  return found


def best_null_threshold(
  scores_N: np.ndarray, has_answer_N: np.ndarray, null_odds_N: np.ndarray
) -> Threshold:
  """Return the threshold above which "no answer" is the best answer.

  It is one of the odds, as in the official script's `find_best_thresh`: the
  smallest of the best ones. Questions of equal odds are on one side, which the
  script does not see to.

  Args:
    scores_N: float, score of the text that is predicted for each question if it
      is answered.
    has_answer_N: bool, whether the question has an answer.
    null_odds_N: float, how much likelier no answer is than this text. Above the
      threshold there is no answer.

  Returns:
    The threshold, which is below all odds where no question should be
    answered, and the mean score with it.

  Raises:
    ValueError: there is no question, or the lengths differ.
  """
  check_examples(scores_N, has_answer_N, null_odds_N)
  odds_N = np.asarray(null_odds_N, np.float64)
  order_N = np.argsort(odds_N, kind="stable")
  # Answering a question gains its score, and loses the point for silence.
  gains_N = np.asarray(scores_N, np.float64) - ~np.asarray(has_answer_N, bool)
  sorted_N = odds_N[order_N]
  totals_N = np.cumsum(gains_N[order_N])
  ends_N = np.append(sorted_N[1:] > sorted_N[:-1], True)
  totals_N, sorted_N = totals_N[ends_N], sorted_N[ends_N]
  best = int(totals_N.argmax())
  silent = float((~np.asarray(has_answer_N, bool)).mean())
  if totals_N[best] <= 0:
    return Threshold(float(np.nextafter(sorted_N[0], -np.inf)), silent)
  return Threshold(
    float(sorted_N[best]), silent + float(totals_N[best]) / len(odds_N)
  )


def _f1(
  predicted: Sequence[str], true: Sequence[str], null_answers: bool
) -> float:
  if null_answers and not (predicted and true):
    return float(predicted == true)
  common = collections.Counter(predicted) & collections.Counter(true)
  shared = sum(common.values())
  if not shared:
    return 0.0
  precision, recall = shared / len(predicted), shared / len(true)
  return 2 * precision * recall / (precision + recall)
