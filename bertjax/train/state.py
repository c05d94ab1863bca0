# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run carries from step to step, made sharded from the first byte."""

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

# Key → parameters, each boxed with the names of its logical axes.
InitParams = Callable[[jax.Array], Any]


@flax.struct.dataclass
class TrainState:
  """Parameters and optimizer slots after `step` steps.

  No key: randomness is a function of the step (law 1).
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

  With `zero1` parameters and slots are cut along `data` too.

  Raises:
    ValueError: a mesh axis that does not divide a parameter.
  """
  boxed = jax.eval_shape(init_params, jax.random.key(0))
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
    lambda leaf, place: jax.ShapeDtypeStruct(
      leaf.shape, leaf.dtype, sharding=place
    ),
    shapes,
    shardings,
  )


def shardings_of(abstract: Any) -> Any:
  """Tree of the shardings of abstract or concrete arrays."""
  return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def make_initializer(
  init_params: InitParams,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  *,
  zero1: bool = False,
) -> Callable[[int], TrainState]:
  """Return seed → fresh state, compiled once for all seeds.

  No parameter is ever whole on one device, unless the mesh says so (law 7).
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
  """Return the fresh state of `seed`, born sharded over `mesh`."""
  return make_initializer(init_params, optimizer, mesh, zero1=zero1)(seed)
