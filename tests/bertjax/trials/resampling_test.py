# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A draw scores as the examples that it takes do."""

import numpy as np
import pytest

from bertjax.finetune import scores
from bertjax.trials.intervals import Scored, bootstrap, bootstrap_score
from bertjax.trials.resampling import can_score, score_draws

EXAMPLES, DRAWS = 40, 25


def draw(rng, examples=EXAMPLES, draws=DRAWS):
  return rng.multinomial(examples, np.full(examples, 1 / examples), draws)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("metric", ["matthews", "macro_f1", "f1"])
def test_scores_of_classes_are_those_of_the_drawn_examples(metric, classes):
  rng = np.random.default_rng(classes)
  columns = {
    "label": rng.integers(0, classes, EXAMPLES),
    "predicted": rng.integers(0, classes, EXAMPLES),
  }
  counts_DN = draw(rng)
  assert can_score(metric, columns)
  found_D = score_draws(metric, columns, counts_DN)
  score = scores.binary_f1 if metric == "f1" else vars(scores)[metric]
  for found, counts_N in zip(found_D, counts_DN, strict=True):
    label_N, predicted_N = (
      np.repeat(each, counts_N) for each in columns.values()
    )
    assert found == pytest.approx(score(np.eye(classes)[predicted_N], label_N))


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_correlations_are_those_of_the_drawn_examples(metric):
  rng = np.random.default_rng(0)
  true_N = rng.integers(0, 6, EXAMPLES).astype(float)  # with equal values
  columns = {
    "true": true_N,
    "predicted": np.round(true_N + rng.normal(size=EXAMPLES), 1),
  }
  counts_DN = draw(rng)
  found_D = score_draws(metric, columns, counts_DN)
  for found, counts_N in zip(found_D, counts_DN, strict=True):
    true, predicted = (np.repeat(each, counts_N) for each in columns.values())
    assert found == pytest.approx(vars(scores)[metric](predicted, true))


@pytest.mark.parametrize("metric", ["matthews", "pearson", "spearman"])
def test_answers_that_are_all_equal_correlate_with_nothing(metric):
  names = (
    ("label", "predicted") if metric == "matthews" else ("true", "predicted")
  )
  true_N, predicted_N = np.asarray([0, 1, 1]), np.ones(3, int)
  columns = {names[0]: true_N, names[1]: predicted_N}
  assert score_draws(metric, columns, np.ones((1, 3))) == [0]


def test_a_score_that_does_not_follow_is_named():
  columns = {"wanted": np.ones(3), "given": np.ones(3), "right": np.ones(3)}
  assert can_score("f1", columns)
  assert not can_score("macro_f1", columns)
  with pytest.raises(ValueError, match="macro_f1 does not follow from wanted"):
    score_draws("macro_f1", columns, np.ones((1, 3)))


def test_a_score_with_a_column_is_its_mean():
  columns = {
    "f1": np.asarray([0.5, 1.0, 0.0]),
    "exact": np.asarray([0.0, 1, 0]),
  }
  counts_DN = np.asarray([[1, 1, 1], [0, 3, 0]])
  assert score_draws("f1", columns, counts_DN).tolist() == [0.5, 1.0]
  assert can_score("exact", columns)
  assert not can_score("matthews", columns)


@pytest.mark.parametrize("over", ["seeds", "examples", "both"])
def test_a_mean_has_the_interval_that_it_has_as_a_score(over):
  values_SN = np.random.default_rng(0).normal(0.2, 1.0, (4, 60))
  scored = Scored(
    4, np.ones(60, int), lambda counts_DN: counts_DN @ values_SN.T / 60
  )
  found = bootstrap_score(scored, over, draws=4_000)
  expected = bootstrap(values_SN, over, draws=4_000)
  width = expected.high - expected.low
  assert found.low == pytest.approx(expected.low, abs=0.06 * width)
  assert found.high == pytest.approx(expected.high, abs=0.06 * width)


def test_too_few_to_draw_from_are_refused():
  scored = Scored(3, np.ones(1, int), lambda counts_DN: counts_DN)
  with pytest.raises(ValueError, match="1 of examples cannot be drawn from"):
    bootstrap_score(scored, "examples")


def test_the_interval_of_a_correlation_covers_it_as_often_as_it_says():
  """With many test examples, of one seed: Pearson's of normal values is 0.6."""
  studies, covered = 150, 0
  for study in range(studies):
    rng = np.random.default_rng(study)
    true_N = rng.normal(size=200)
    columns = {
      "true": true_N,
      "predicted": 0.75 * true_N + rng.normal(size=200),
    }
    scored = Scored(
      1,
      np.ones(200, int),
      lambda counts_DN, c=columns: score_draws("pearson", c, counts_DN)[
        :, None
      ],
    )
    covered += 0.6 in bootstrap_score(scored, "examples", draws=400)
  assert abs(covered / studies - 0.95) < 4 * (0.95 * 0.05 / studies) ** 0.5
