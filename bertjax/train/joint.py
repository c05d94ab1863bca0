# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Several runs that one step trains at once, side by side.

Their parameters and optimizer states are stacked along a first axis, which no
mesh axis shards; each leaf is sharded in the others as that of a single run.
They share the number of the step. Arrays of their batches are stacked along
the second axis, so that rows stay the first one, which devices divide. No run
reads what another has: a run of nan stays alone with it.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.batch import Batch
from bertjax.train.state import TrainState

# What `jax.vmap` maps over: not the step.
_AXES = TrainState(step=None, params=0, opt_state=0)


def mapped(
  step: Callable[..., tuple[TrainState, Any]],
) -> Callable[..., tuple[TrainState, Any]]:
  """Return (stacked state, stacked batch, seeds) → the same, and metrics.

  Args:
    step: (state, batch, seed) → (state, metrics) of one run.
  """
  return jax.vmap(step, in_axes=(_AXES, 1, 0), out_axes=(_AXES, 0))


def stacked_shardings(shardings: TrainState) -> TrainState:
  """Return the shardings of a stacked state, from those of a single run."""
  params, opt_state = jax.tree.map(
    _unshared_first, (shardings.params, shardings.opt_state)
  )
  return TrainState(shardings.step, params, opt_state)


def stacked_abstract(abstract: TrainState, count: int) -> TrainState:
  """Return the shapes, dtypes and shardings of `count` stacked states."""

  def stack(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(
      (count, *leaf.shape), leaf.dtype, sharding=_unshared_first(leaf.sharding)
    )

  params, opt_state = jax.tree.map(stack, (abstract.params, abstract.opt_state))
  return TrainState(abstract.step, params, opt_state)


def stack_states(states: Sequence[TrainState]) -> TrainState:
  """Return the stacked state of runs at one step."""
  first = states[0]
  shardings = jax.tree.map(lambda leaf: leaf.sharding, first)
  stacked = stacked_shardings(shardings)
  params, opt_state = jax.jit(
    lambda *trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees),
    out_shardings=(stacked.params, stacked.opt_state),
  )(*((each.params, each.opt_state) for each in states))
  return TrainState(first.step, params, opt_state)


def make_taker(abstract: TrainState) -> Callable[[Any, int], Any]:
  """Return (stacked parameters, number of a run) → a copy of its parameters.

  It is compiled once for all numbers.
  """
  shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract.params)
  take = jax.jit(
    lambda params, number: jax.tree.map(lambda leaf: leaf[number], params),
    out_shardings=shardings,
  )
  return lambda params, number: take(params, np.int32(number))


def stack_batches(batches: Sequence[Batch]) -> Batch:
  """Return the stacked batch of several runs; all have the same shapes."""
  return {
    name: np.stack([each[name] for each in batches], axis=1)
    for name in batches[0]
  }


@functools.cache
def _unshared_first(sharding: NamedSharding) -> NamedSharding:
  return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))
