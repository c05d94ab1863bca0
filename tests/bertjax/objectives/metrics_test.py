# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Sums and weights add, and divide once."""

import json

import jax
import jax.numpy as jnp
import pytest

from bertjax.objectives import metrics


def pair(total, weight):
  return jnp.float32(total), jnp.float32(weight)


def means(*steps):
  sums = metrics.MetricSums()
  for step in steps:
    sums.add(step)
  return sums.means()


def test_metrics_weigh_batches_by_their_weights():
  steps = {"loss": pair(2.0, 1.0)}, {"loss": pair(30.0, 10.0)}
  assert means(*steps) == {"loss": pytest.approx(32 / 11)}


def test_a_metric_may_miss_in_some_steps():
  assert means({"a": pair(1, 1)}, {"b": pair(1, 2)}) == {"a": 1, "b": 0.5}


def test_a_metric_of_weight_zero_has_no_mean():
  assert means({"a": pair(0, 0), "b": pair(1, 2)}) == {"b": 0.5}


def test_sums_are_float64_and_go_on_from_saved_ones():
  """A float32 sum would stop at 2²⁴."""
  sums = metrics.MetricSums()
  for total in (2.0**24, 1.0):
    sums.add({"a": pair(total, 1)})
  again = metrics.MetricSums(json.loads(json.dumps(sums.sums())))
  again.add({"a": pair(1, 1)})
  assert again.sums() == {"a": (2.0**24 + 2, 3.0)}


def test_a_ratio_over_nothing_is_zero_and_so_is_its_gradient():
  value, slope = jax.value_and_grad(metrics.ratio)(*pair(3, 0))
  assert (value, slope) == (0, 0)
  value, slope = jax.value_and_grad(metrics.ratio)(*pair(3, 4))
  assert (value, slope) == (0.75, 0.25)
