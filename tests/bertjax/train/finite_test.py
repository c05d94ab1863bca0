# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is not finite is named."""

import dataclasses
import math

import jax.numpy as jnp
import pytest

from bertjax.train import finite, state


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_value_that_is_not_finite_is_named(value):
  finite.check_values({"a": 1.0, "b": 0.0}, "step 3")
  with pytest.raises(finite.Diverged, match=f"b is {value} at step 3.*lower"):
    finite.check_values({"a": 1.0, "b": value}, "step 3")


@pytest.mark.parametrize("part", ["params", "opt_state"])
@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_the_array_that_is_not_finite_is_named(part, value):
  good = {"kernel": jnp.ones((2, 2)), "count": jnp.zeros((), jnp.int32)}
  bad = {**good, "kernel": good["kernel"].at[0, 1].set(value)}
  whole = state.TrainState(jnp.int32(1), good, good)
  finite.check_state(whole, 1)
  with pytest.raises(finite.Diverged, match=rf"{part}/kernel \(1 arrays\)"):
    finite.check_state(dataclasses.replace(whole, **{part: bad}), 1)
