# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Sums and weights add, and divide once."""

import jax
import jax.numpy as jnp
import pytest

from bertjax.objectives import metrics


def pair(total, weight):
  return jnp.float32(total), jnp.float32(weight)


def test_metrics_weigh_batches_by_their_weights():
  left = {"loss": pair(2.0, 1.0)}
  right = {"loss": pair(30.0, 10.0)}
  assert metrics.ratios(metrics.add(left, right)) == {
    "loss": pytest.approx(32 / 11)
  }


def test_metrics_of_other_names_do_not_add():
  with pytest.raises(ValueError, match=r"\['a'\] and \['b'\]"):
    metrics.add({"a": pair(1, 1)}, {"b": pair(1, 1)})


def test_what_weighs_nothing_has_no_value():
  assert metrics.ratios({"a": pair(0, 0), "b": pair(1, 2)}) == {"b": 0.5}


def test_a_ratio_over_nothing_is_zero_and_so_is_its_gradient():
  value, slope = jax.value_and_grad(metrics.ratio)(*pair(3, 0))
  assert (value, slope) == (0, 0)
  value, slope = jax.value_and_grad(metrics.ratio)(*pair(3, 4))
  assert (value, slope) == (0.75, 0.25)
