# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bertjax.config import OptimizerConfig, TaskConfig
from bertjax.finetune.classification import TASK
from bertjax.finetune.programs import (
  _Fields,
  make_programs,
  set_learning_rate,
  with_learning_rate,
)
from bertjax.optim import make_optimizer, make_schedule
from bertjax.parallel.mesh import make_mesh
from bertjax.train.state import TrainState
from tests.testing import trials

RATE = 3e-3
STEPS = 10


def test_what_the_programs_do_not_read_shares_them():
  # A field is of the programs or not; rates, seeds and data are not.
  mesh = make_mesh(trials.CONFIG.mesh, jax.devices()[:1])

  def make(config):
    return make_programs(TASK, 3, trials.MODEL, config, trials.STEPS, mesh)

  others = {
    "steps": 9,
    "epochs": 9.0,
    "evaluation_batch_size": 3,
    "evaluations": 9,
    "patience": 9,
    "checkpoint_steps": 9,
    "runs_at_once": 9,
    "learning_rates": (0.5,),
    "seed": 9,
    "seeds": 9,
    "selection_seeds": 9,
    "metric": "loss",
    "pack": False,
    "task": TaskConfig(num_packages=3),
  }
  shared = make(trials.CONFIG)
  for name, value in others.items():
    assert getattr(trials.CONFIG, name) != value
    assert make(dataclasses.replace(trials.CONFIG, **{name: value})) is shared
  names = {field.name for field in dataclasses.fields(trials.CONFIG)}
  assert {*others, *_Fields._fields} == names
  for name, value in (("pooling", "mean"), ("warmup_rate", 0.5)):
    other = make(dataclasses.replace(trials.CONFIG, **{name: value}))
    assert other is not shared


def config(rate):
  return OptimizerConfig(
    learning_rate=rate, warmup_steps=3, weight_decay=0.1, clip_norm=0.5
  )


def params() -> dict[str, jax.Array]:
  generator = np.random.default_rng(0)
  return {
    "pooler/dense/kernel": jnp.asarray(
      generator.normal(size=(4, 3)), jnp.float32
    ),
    "pooler/dense/bias": jnp.asarray(generator.normal(size=3), jnp.float32),
  }


def descend(optimizer, opt_state) -> dict[str, jax.Array]:
  tree: Any = params()
  target = jax.tree.map(lambda leaf: 2 * leaf + 1, tree)

  @jax.jit
  def step(tree, opt_state):
    grads = jax.tree.map(lambda leaf, aim: leaf - aim, tree, target)
    updates, opt_state = optimizer.update(grads, opt_state, tree)
    return optax.apply_updates(tree, updates), opt_state

  for _ in range(STEPS):
    tree, opt_state = step(tree, opt_state)
  return tree


def test_a_rate_that_is_set_equals_one_that_is_compiled_in():
  fixed = make_optimizer(config(RATE), make_schedule(config(RATE), STEPS))
  expected = descend(fixed, fixed.init(params()))
  free = with_learning_rate(
    make_optimizer(config(1.0), make_schedule(config(1.0), STEPS))
  )
  state = TrainState(jnp.zeros((), jnp.int32), params(), free.init(params()))
  actual = descend(free, set_learning_rate(state, RATE).opt_state)
  for name in expected:
    # The updates themselves are compared, not what they are added to.
    moved = expected[name] - params()[name]
    np.testing.assert_allclose(
      actual[name] - params()[name], moved, rtol=1e-4, atol=1e-7
    )
    assert float(jnp.abs(moved).max()) > 1e-3


def test_a_rate_of_zero_moves_nothing():
  free = with_learning_rate(
    make_optimizer(config(1.0), make_schedule(config(1.0), STEPS))
  )
  state = TrainState(jnp.zeros((), jnp.int32), params(), free.init(params()))
  actual = descend(free, set_learning_rate(state, 0.0).opt_state)
  for name, leaf in params().items():
    np.testing.assert_array_equal(actual[name], leaf)
