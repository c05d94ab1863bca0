# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A learning rate that is an input of the compiled step.

Every transform after the gradient is linear in the learning rate, so an
optimizer made for a rate of 1 times a number in its state is the optimizer of
that rate, and one compiled step serves all rates that are tried.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bertjax.train.state import TrainState


class RateState(NamedTuple):
  """What updates are multiplied by, a float32 scalar."""

  rate: jax.Array


def with_rate(
  optimizer: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Multiply the updates of `optimizer` by a rate that `set_rate` sets."""

  def update(
    updates: optax.Updates,
    state: Any,  # RateState; optax's protocol says any tree
    params: optax.Params | None = None,
  ) -> tuple[optax.Updates, RateState]:
    del params
    return jax.tree.map(lambda leaf: leaf * state.rate, updates), state

  init = lambda params: RateState(jnp.ones((), jnp.float32))
  return optax.chain(optimizer, optax.GradientTransformation(init, update))


def set_rate(state: TrainState, rate: float) -> TrainState:
  """Return the state of a `with_rate` optimizer with another rate."""
  inner, old = state.opt_state
  new = jax.device_put(np.float32(rate), old.rate.sharding)
  return TrainState(state.step, state.params, (inner, RateState(new)))
