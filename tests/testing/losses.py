# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses derived once more, in float64."""

import numpy as np

from bertjax.objectives.metrics import MetricSums


def means(metrics):
  """{name: sum / weight} of the metrics of one step."""
  sums = MetricSums()
  sums.add(metrics)
  return sums.means()


def by_hand(logits, targets, weights):
  """(mean loss, accuracy) in float64."""
  logits = np.asarray(logits, np.float64)
  logits -= logits.max(axis=-1, keepdims=True)
  log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
  right = logits.argmax(axis=-1) == targets
  losses = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
  return (losses * weights).sum() / weights.sum(), (
    right * weights
  ).sum() / weights.sum()
