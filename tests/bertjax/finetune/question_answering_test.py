# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.finetune import answer_spans
from bertjax.finetune.question_answering import (
  FOR_EXACT,
  TASK,
  find_candidates,
)
from data_pipelines.tasks import sliding
from data_pipelines.tasks.question_answering import ReadQuestion
from tests.testing.windows import make_windows

CONTEXT = "aa bb cc dd"
SHIFT = 2  # [CLS] [SEP] and then the context
SETTINGS = {"max_answer_length": 2, "null_answers": 0}


def make_question(answers=("bb",), size=4, stride=4):
  """A question about four tokens, in windows of `size`."""
  windows = sliding.slide(4, size, stride)
  return ReadQuestion(
    "",
    CONTEXT,
    answers,
    np.asarray([(3 * t, 3 * t + 2) for t in range(4)]),
    sliding.most_context(windows, 4),
    np.asarray([window.start for window in windows]),
    SHIFT,
  )


def make_case(start_NS, end_NS, examples, **settings):
  """Outputs and windows, whose rows are [CLS] [SEP] context [SEP]."""
  start_NS, end_NS = np.asarray(start_NS), np.asarray(end_NS)
  owner_N = np.repeat(
    np.arange(len(examples)), [len(each.start_W) for each in examples]
  )
  count, size = start_NS.shape
  arrays = {
    "start_N": np.zeros(count, np.int32),
    "end_N": np.zeros(count, np.int32),
    "weight_N": np.ones(count, np.float32),
  }
  windows = dataclasses.replace(
    make_windows(arrays, count, examples, settings={**SETTINGS, **settings}),
    owner_N=owner_N,
    length_N=np.full(count, size),
  )
  return {"start_logits_NS": start_NS, "end_logits_NS": end_NS}, windows


def row(*logits):
  """Logits of [CLS] [SEP] and of the context, before the last [SEP]."""
  return [logits[0], 9.0, *logits[1:], 9.0]


def test_the_softmax_is_over_the_positions_of_a_pack():
  """A row of two windows and padding equals two rows."""
  logits_BS = jax.random.normal(jax.random.key(0), (2, 7), jnp.float32)
  outputs = {"start_logits_BS": logits_BS, "end_logits_BS": -logits_BS}
  packed = {
    "packs_BS": jnp.asarray([[1, 1, 1, 2, 2, 0, 0], [0] * 7]),
    "starts_BR": jnp.asarray([[0, 3], [0, 0]]),
    "start_BR": jnp.asarray([[1, 0], [0, 0]]),
    "end_BR": jnp.asarray([[2, 1], [0, 0]]),
    "weight_BR": jnp.asarray([[1.0, 1.0], [0.0, 0.0]]),
  }
  loss, weight = TASK.losses(outputs, packed)["loss"]
  logits_S = np.asarray(logits_BS[0], np.float64)
  expected = 0.0
  for begin, stop, start, end in ((0, 3, 1, 2), (3, 5, 0, 1)):
    for values, target in (
      (logits_S[begin:stop], start),
      (-logits_S[begin:stop], end),
    ):
      expected += (np.log(np.exp(values).sum()) - values[target]) / 2
  assert float(loss) == pytest.approx(expected, rel=1e-6)
  assert float(weight) == float(TASK.weights(packed)["loss"]) == 2
  grads = jax.grad(lambda o: TASK.losses(o, packed)["loss"][0])(outputs)
  for gradient_BS in grads.values():
    assert np.isfinite(gradient_BS).all()
    assert (gradient_BS[packed["packs_BS"] == 0] == 0).all()


def test_the_best_span_is_in_the_context_and_short_enough():
  # The likeliest start is behind the likeliest end, and aa to cc is too long.
  case = make_case(
    [row(0.0, 3.0, 0.0, 0.0, 5.0)],
    [row(0.0, 0.0, 2.0, 4.0, 0.0)],
    (make_question(),),
  )
  (found,) = find_candidates(*case)
  best = found.spans[0]
  assert (best.score, best.start, best.stop) == (5.0, 0, 5)
  assert CONTEXT[best.start : best.stop] == "aa bb"
  assert len({(s.start, s.stop) for s in found.spans}) == len(found.spans) == 7
  assert [s.score for s in found.spans] == sorted(
    (s.score for s in found.spans), reverse=True
  )


def test_a_span_counts_where_its_start_has_most_context():
  # Windows aa bb cc and bb cc dd: bb counts in the first, cc in the second.
  question = make_question(size=3, stride=1)
  assert question.window_T.tolist() == [0, 0, 1, 1]
  case = make_case(
    [row(0.0, 0.0, 0.0, 9.0), row(1.0, 9.0, 0.0, 2.0)],
    [row(0.0, 0.0, 0.0, 9.0), row(-3.0, 9.0, 0.0, 2.0)],
    (question,),
  )
  (found,) = find_candidates(*case)
  best = found.spans[0]
  assert CONTEXT[best.start : best.stop] == "bb cc"  # ends in another's window
  assert found.null == -2  # the least of the windows
  assert "cc" not in [CONTEXT[s.start : s.stop] for s in found.spans[:2]]


def test_scores_are_shares_of_questions():
  case = make_case(
    [row(0.0, 0.0, 5.0, 0.0, 0.0), row(0.0, 0.0, 0.0, 5.0, 0.0)],
    [row(0.0, 0.0, 5.0, 0.0, 0.0), row(0.0, 0.0, 0.0, 0.0, 5.0)],
    (make_question(), make_question(("dd",))),
  )
  scores = TASK.scores(*case)
  assert scores["exact"] == 1 / 2
  assert scores["f1"] == pytest.approx((1 + 2 / 3) / 2)
  columns = {score for _, score in TASK.columns.values()}
  assert {*TASK.metrics, *columns, *TASK.tuned, "loss"} == {*scores}
  # Both targets are [CLS]; every row sums over nine of [SEP], too.
  rest = 2 * math.exp(9) + math.exp(5) + 4
  assert scores["loss"] == pytest.approx(math.log(rest))


def test_dev_tunes_the_threshold_and_test_takes_it():
  odds = (2.0, -1.0)  # of no answer, for a silent and an answered question
  start_NS = [row(odd / 2, -5.0, 0.0, -5.0, -5.0) for odd in odds]
  case = make_case(
    start_NS, start_NS, (make_question(()), make_question()), null_answers=1
  )
  outputs, windows = case
  scores = TASK.scores(outputs, windows)
  assert scores["null_threshold"] == -1.0
  assert scores["no_answer_exact"] == 1
  tuned = windows.tuned({"null_threshold": -2.0})
  assert TASK.scores(outputs, tuned)["null_threshold"] == -2.0
  assert TASK.scores(outputs, tuned)["exact"] == 1 / 2  # both are silent


def test_the_scores_are_means_of_those_of_each_question():
  examples = [make_question(("bb",)), make_question(("bb cc",))]
  outputs, windows = make_case(
    [row(0, 0, 5, 0, 0)] * 2, [row(0, 0, 5, 0, 0)] * 2, examples
  )
  assert TASK.by_example is not None
  columns = TASK.by_example(outputs, windows)
  assert {*columns} == {*TASK.metrics}
  scores = TASK.scores(outputs, windows)
  assert 0 < scores["exact"] < scores["f1"] < 1
  for name, each_N in columns.items():
    assert each_N.mean() == scores[name]


def test_the_threshold_is_best_for_the_score_that_chooses():
  """Answers that are half right are worth F1, and no exact match."""
  # Odds of no answer: half right twice, without an answer, and right.
  odds = (0.0, 1.0, 2.0, -1.0)
  start_NS = [row(odd / 2, -5.0, 0.0, -5.0, -5.0) for odd in odds]
  outputs, windows = make_case(
    start_NS,
    start_NS,
    (
      *(make_question(("aa bb",)), make_question(("bb cc",))),
      *(make_question(()), make_question()),
    ),
    null_answers=1,
  )
  assert TASK.scores(outputs, windows)["null_threshold"] == 1.0
  exact = windows.tuned({FOR_EXACT: 1})
  assert TASK.scores(outputs, exact)["null_threshold"] == -1.0


def test_answers_begin_with_the_one_that_the_threshold_chooses():
  start_NS = [row(1.0, 0.0, 0.5, 0.0, 0.0)]
  outputs, windows = make_case(
    start_NS, start_NS, (make_question(),), null_answers=1
  )
  for threshold, first in ((0.5, ""), (1.5, "bb")):
    tuned = windows.tuned({"null_threshold": threshold})
    ((best, *rest),) = TASK.answers(outputs, tuned, (), ())
    assert best[0] == first
    assert len(best) == len(TASK.answer_columns)
    assert sum(answer[1] for answer in (best, *rest)) == pytest.approx(1)
    assert "" in [answer[0] for answer in (best, *rest)]
  text, _, start, stop = best
  assert CONTEXT[start:stop] == text
  # Data without such questions, and imported models, always answer.
  always = dataclasses.replace(windows, settings={})
  ((best, *rest),) = TASK.answers(outputs, always, (), ())
  assert "" not in [answer[0] for answer in (best, *rest)]


def test_what_is_calibrated_is_the_answer_that_is_given():
  start_NS = [row(1.0, 0.0, 0.5, 0.0, 0.0), row(-1.0, 2.0, 0.5, 0.0, 0.0)]
  questions = (make_question(), make_question(("Bb.", "zz")))
  outputs, windows = make_case(start_NS, start_NS, questions, null_answers=1)
  for threshold, first, is_right in (
    (0.5, ("", "aa"), [False, False]),
    (1.5, ("bb", "aa"), [True, False]),
  ):
    tuned = windows.tuned({"null_threshold": threshold})
    given = TASK.answers(outputs, tuned, (), ())
    answered = TASK.answered(outputs, tuned)
    assert answered is not None
    assert tuple(each[0][0] for each in given) == first
    np.testing.assert_array_equal(
      answered.confidences(), [each[0][1] for each in given]
    )
    assert answered.is_right_N.tolist() == is_right
    assert answered.labels_N is None  # "zz" is nowhere
  # Dividing logits and threshold changes no answer.
  halved = {name: array / 2 for name, array in outputs.items()}
  half = windows.tuned({"null_threshold": 0.75})
  for before, after in zip(
    given, TASK.answers(halved, half, (), ()), strict=True
  ):
    assert before[0][0] == after[0][0]
  wide = answered.confidences(2.0)
  np.testing.assert_allclose(
    wide, [each[0][1] for each in TASK.answers(halved, half, (), ())]
  )


def judge(start_NS, places=(2, 3), scores=None):
  outputs, windows = make_case(start_NS, start_NS, (make_question(),) * 2)
  for name in ("start", "end"):
    windows.arrays[f"{name}_N"][:] = places
  assert TASK.is_degenerate
  return TASK.is_degenerate(scores or {}, outputs, windows)


def test_empty_answers_and_one_place_are_degenerate():
  at = lambda place: [float(place == each) for each in range(7)]
  assert judge([at(0), at(0)])  # [CLS]: every answer is empty
  assert judge([at(4), at(4)])
  assert not judge([at(2), at(4)])
  # All true answers are there.
  assert not judge([at(0), at(0)], places=(0, 0))
  # The threshold that dev tuned leaves no answer.
  silent = {"no_answer_exact": 1.0, "has_answer_f1": 0.0}
  assert judge([at(2), at(4)], scores=silent)
  assert not judge([at(2), at(4)], scores={**silent, "has_answer_f1": 0.1})


def test_numbers_that_are_none_leave_a_loss_that_is_none():
  nan_NS = np.full((1, 7), np.nan)
  case = make_case(nan_NS, nan_NS, (make_question(),), null_answers=1)
  assert math.isnan(TASK.scores(*case)["loss"])


def test_as_many_answers_as_run_squad():
  assert answer_spans.N_BEST == 20


def test_smoothing_is_over_the_positions_of_a_window():
  torch = pytest.importorskip("torch")
  logits_BS = jnp.asarray([[1.0, 2, 0.5, -1, 3, 0.2, 7]])
  batch = {
    "packs_BS": jnp.asarray([[1, 1, 1, 2, 2, 2, 0]]),
    "starts_BR": jnp.asarray([[0, 3, 0]]),
    "start_BR": jnp.asarray([[1, 0, 0]]),
    "end_BR": jnp.asarray([[2, 1, 0]]),
    "weight_BR": jnp.asarray([[1.0, 1.0, 0.0]]),
  }
  outputs = {"start_logits_BS": logits_BS, "end_logits_BS": -logits_BS}
  found = TASK.losses(outputs, batch, label_smoothing=0.3)
  wanted = 0.0
  for sign, places in ((1, (1, 0)), (-1, (2, 1))):
    for pack, place in enumerate(places):
      wanted += 0.5 * float(
        torch.nn.functional.cross_entropy(
          torch.tensor(
            sign * np.asarray(logits_BS)[:, 3 * pack : 3 * pack + 3]
          ),
          torch.tensor([place]),
          label_smoothing=0.3,
        )
      )
  assert float(found["loss"][0]) == pytest.approx(wanted, rel=1e-5)
