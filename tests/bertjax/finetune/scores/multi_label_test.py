# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import warnings

import numpy as np
import pytest
from sklearn import metrics

from bertjax.finetune.scores import multi_label


def test_scores_are_those_of_scikit_learn():
  draws = np.random.default_rng(0)
  for _ in range(100):
    shape = draws.integers(1, 8), draws.integers(2, 5)
    # Often a class without a label, without a prediction, or without both.
    label_NC = draws.random(shape) < draws.random(shape[1])
    predicted_NC = draws.random(shape) < draws.random(shape[1]).round(1)
    counts = multi_label.count_labels(predicted_NC, label_NC)
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # of shares of nothing
      expected = [
        metrics.f1_score(label_NC, predicted_NC, average=mean)
        for mean in ("micro", "macro")
      ]
    np.testing.assert_allclose([counts.micro_f1, counts.macro_f1], expected)
    assert multi_label.exact_share(predicted_NC, label_NC) == pytest.approx(
      metrics.accuracy_score(label_NC, predicted_NC)
    )


def test_the_cross_entropy_is_that_of_scikit_learn():
  draws = np.random.default_rng(1)
  logits_NC = draws.normal(scale=3, size=(20, 4)).astype(np.float32)
  label_NC = draws.integers(0, 2, (20, 4))
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    expected = metrics.log_loss(
      label_NC.reshape(-1), multi_label.sigmoid(logits_NC).reshape(-1)
    )
  found = multi_label.binary_cross_entropy(logits_NC, label_NC)
  assert found == pytest.approx(expected)


def test_large_logits_stay_finite():
  logits_NC = np.asarray([[1e4, -1e4]], np.float32)
  assert multi_label.binary_cross_entropy(logits_NC, np.asarray([[1, 0]])) == 0
  assert multi_label.sigmoid(logits_NC).tolist() == [[1, 0]]


@pytest.mark.parametrize(
  "score",
  [
    multi_label.count_labels,
    multi_label.exact_share,
    multi_label.binary_cross_entropy,
  ],
)
def test_no_example_is_refused(score):
  with pytest.raises(ValueError, match="no examples"):
    score(np.zeros((0, 3)), np.zeros((0, 3)))
