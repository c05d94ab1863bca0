# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The state that a step takes and returns, created sharded."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from bertjax.parallel import sharding
from bertjax.train import rng

# Random key → parameters, each boxed with the names of its logical axes.
InitParams = Callable[[jax.Array], Any]


@flax.struct.dataclass
class TrainState:
  """Parameters and optimizer state after `step` steps.

  It holds no random key: randomness is a function of the step (docs/design.md,
  law 1).
  """

  step: Any  # an int32 scalar, or its shape or its sharding
  params: Any
  opt_state: Any


def abstract_state(
  init_params: InitParams,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  *,
  zero1: bool = False,
) -> TrainState:
  """Return the state as shapes, dtypes and shardings; computes nothing.

  With `zero1`, parameters and optimizer state are sharded along `data` as well.

  Raises:
    ValueError: a mesh axis that does not divide a parameter.
  """
  # The key as a shape too: to make one is compiled.
  key = jax.eval_shape(jax.random.key, 0)
  boxed = jax.eval_shape(init_params, key)
  params = nn.meta.unbox(boxed)
  opt_state = jax.eval_shape(optimizer.init, params)
  param_shardings = sharding.param_shardings(boxed, mesh, zero1=zero1)
  shardings = TrainState(
    step=sharding.replicated(mesh),
    params=param_shardings,
    opt_state=sharding.optimizer_shardings(
      opt_state, params, param_shardings, mesh
    ),
  )
  shapes = TrainState(
    step=jax.ShapeDtypeStruct((), jnp.int32), params=params, opt_state=opt_state
  )
  return jax.tree.map(
    lambda leaf, where: jax.ShapeDtypeStruct(
      leaf.shape, leaf.dtype, sharding=where
    ),
    shapes,
    shardings,
  )


def shardings_of(abstract: Any) -> Any:
  """Return the tree of the shardings of abstract or concrete arrays."""
  return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def make_initializer(
  init_params: InitParams,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  *,
  zero1: bool = False,
) -> Callable[[int], TrainState]:
  """Return seed → fresh state, compiled once for all seeds.

  No device ever holds a parameter whole that the mesh shards (law 7).
  """
  abstract = abstract_state(init_params, optimizer, mesh, zero1=zero1)

  def create(seed: jax.Array) -> TrainState:
    params = nn.meta.unbox(init_params(rng.stream(seed, "params", 0)))
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=optimizer.init(params),
    )

  return jax.jit(create, out_shardings=shardings_of(abstract))


def make_state(
  init_params: InitParams,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  *,
  seed: int,
  zero1: bool = False,
) -> TrainState:
  """Return the fresh state of `seed`, created sharded over `mesh`."""
  return make_initializer(init_params, optimizer, mesh, zero1=zero1)(seed)
