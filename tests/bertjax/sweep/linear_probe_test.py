# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
from sklearn.linear_model import LogisticRegression

from bertjax.sweep.linear_probe import PENALTIES, fit_logistic, score_linear


def make_examples(signal, size=600, width=8):
  rng = np.random.default_rng(0)
  label_N = np.tile([0, 1], size // 2)
  vectors_ND = rng.normal(size=(size, width)).astype(np.float32)
  vectors_ND[:, 3] += signal * label_N
  return 5 + 3 * vectors_ND, label_N, np.repeat([0, 1, 2], size // 3)


def test_weights_are_those_of_scikit_learn():
  vectors_ND, label_N, _ = make_examples(1.0)
  vectors_ND = (vectors_ND - vectors_ND.mean(0)) / vectors_ND.std(0)
  vectors_ND = vectors_ND.astype(np.float64)
  for penalty in PENALTIES:
    weights_D, bias = fit_logistic(vectors_ND, label_N, penalty)
    theirs = LogisticRegression(
      C=1 / (penalty * len(label_N)), tol=1e-8, max_iter=1000
    ).fit(vectors_ND, label_N)
    np.testing.assert_allclose(weights_D, theirs.coef_[0], atol=1e-4)
    np.testing.assert_allclose(bias, theirs.intercept_[0], atol=1e-4)


def test_what_is_there_is_read_and_what_is_not_is_chance():
  assert score_linear(*make_examples(5.0)).accuracy > 0.95
  assert 0.35 < score_linear(*make_examples(0.0)).accuracy < 0.65


def test_a_feature_that_never_varies_is_harmless():
  vectors_ND, label_N, part_N = make_examples(5.0)
  vectors_ND[:, 0] = 1.0
  found = score_linear(vectors_ND, label_N, part_N)
  assert found.accuracy > 0.95
  assert found.penalty in PENALTIES
