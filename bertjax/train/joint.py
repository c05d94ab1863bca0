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
from collections.abc import Callable, Iterable, Sequence
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
  params, opt_state = jax.tree.map(
    functools.partial(_stacked, count), (abstract.params, abstract.opt_state)
  )
  return TrainState(abstract.step, params, opt_state)


def stack_states(states: Iterable[TrainState], count: int) -> TrainState:
  """Return the stacked state of runs at one step.

  It is filled state by state: where `states` makes each when it is asked for,
  no two of them are on the devices at once.

  Args:
    states: those of the runs.
    count: number of runs.
  """
  stack: Any = None
  step: Any = None
  put: Any = None
  left = iter(states)
  for number in range(count):
    # `enumerate` would hold each state while the next one is made.
    state = next(left)
    step, own = state.step, (state.params, state.opt_state)
    if put is None:
      make, put = _filling(own, count)
      stack = make()
    stack = put(stack, own, np.int32(number))
    del state, own
  params, opt_state = stack
  return TrainState(step, params, opt_state)


def _filling(
  like: Any, count: int
) -> tuple[Callable[[], Any], Callable[[Any, Any, np.int32], Any]]:
  """Return what makes an empty stack, and what puts a run into it."""
  stacked = jax.tree.map(functools.partial(_stacked, count), like)
  shardings = jax.tree.map(lambda leaf: leaf.sharding, stacked)
  make = jax.jit(
    lambda: jax.tree.map(
      lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), stacked
    ),
    out_shardings=shardings,
  )
  put = jax.jit(
    lambda stack, own, number: jax.tree.map(
      lambda whole, leaf: jax.lax.dynamic_update_index_in_dim(
        whole, leaf, number, axis=0
      ),
      stack,
      own,
    ),
    donate_argnums=0,
    out_shardings=shardings,
  )
  return make, put


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


def _stacked(count: int, leaf: Any) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(
    (count, *leaf.shape), leaf.dtype, sharding=_unshared_first(leaf.sharding)
  )


@functools.cache
def _unshared_first(sharding: NamedSharding) -> NamedSharding:
  return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))
