# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of an optimizer over trees that are given as {"a/b": array}."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bertjax.model.parameters import by_name


def draw(shapes, seed, scale=1.0):
  """Normal float32 arrays of these shapes."""
  source = np.random.default_rng(seed)
  return {
    name: (scale * source.standard_normal(shape)).astype(np.float32)
    for name, shape in shapes.items()
  }


def nested(flat):
  """{"a/b": array} as {"a": {"b": array}}."""
  tree = {}
  for name, leaf in flat.items():
    *parents, last = name.split("/")
    place = tree
    for parent in parents:
      place = place.setdefault(parent, {})
    place[last] = jnp.asarray(leaf)
  return tree


def descend(optimizer, params, gradients):
  """Parameters by name after one step a gradient, and the last state."""
  params = nested(params)
  state = optimizer.init(params)

  @jax.jit
  def step(params, state, gradients):
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state

  for tree in gradients:
    params, state = step(params, state, nested(tree))
  return by_name(params), state
