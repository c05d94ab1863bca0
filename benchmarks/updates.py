# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Updates of parameters alone, and the bytes that they have to move."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bertjax import optim
from bertjax.config import ModelConfig, OptimizerConfig
from bertjax.model import BertForPreTraining
from bertjax.objectives import pretraining

_SCHEDULE_STEPS = 1000


def init_params(config: ModelConfig, seq_length: int) -> Any:
  """Return fresh parameters of a pre-training model."""
  return nn.meta.unbox(
    pretraining.init_params(
      BertForPreTraining(config), seq_length, jax.random.key(0)
    )
  )


def make_update(name: Any, params: Any) -> tuple[Callable[[], Any], int]:
  """Return a function that updates a copy of `params`, and the bytes moved.

  The bytes are those that an update has to move: it reads gradients, parameters
  and state, and writes parameters and state.

  Args:
    name: `optimizer.name` of a config.
    params: parameters, which are not changed.
  """
  settings = OptimizerConfig(name=name, warmup_steps=0)
  optimizer = optim.make_optimizer(
    settings, optim.make_schedule(settings, _SCHEDULE_STEPS)
  )
  grads = jax.tree.map(lambda leaf: 1e-3 * jnp.ones_like(leaf), params)

  def update(held: Any, grads: Any) -> Any:
    params, opt_state = held
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return jax.tree.map(jnp.add, params, updates), opt_state

  opt_state = jax.jit(optimizer.init)(params)
  moved = nbytes(grads) + 2 * nbytes((params, opt_state))
  held = jax.tree.map(jnp.copy, (params, opt_state))
  return _in_place(update, held, grads), moved


def make_copy(moved: int) -> Callable[[], Any]:
  """Return a function that reads half of `moved` bytes, and writes as many."""
  array = jnp.zeros((moved // 2 // 4,), jnp.float32)
  return _in_place(lambda held: held + 1, array)


def nbytes(tree: Any) -> int:
  """Return the bytes of all arrays."""
  return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def _in_place(
  function: Callable[..., Any], held: Any, *others: Any
) -> Callable[[], Any]:
  """Return a function that replaces `held`, in donated memory."""
  jitted = jax.jit(function, donate_argnums=0)

  def run() -> Any:
    nonlocal held
    held = jitted(held, *others)
    return held

  return run
