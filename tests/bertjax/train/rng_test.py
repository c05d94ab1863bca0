# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Keys depend on seed, name and step alone."""

import jax
import numpy as np

from bertjax.train import rng


def bits(*arguments, **settings):
  key = rng.stream(*arguments, **settings)
  return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_a_key_is_a_pure_function_of_seed_name_and_step():
  assert bits(0, "dropout", 3) == bits(0, "dropout", 3)
  keys = {
    bits(seed, name, step)
    for seed in range(3)
    for name in ("dropout", "params", "evaluation")
    for step in range(4)
  }
  assert len(keys) == 36
  traced = jax.jit(lambda seed, step: rng.stream(seed, "dropout", step))(0, 3)
  assert tuple(jax.random.key_data(traced).tolist()) == bits(0, "dropout", 3)
  # Fixed for good: a checkpoint of today goes on tomorrow.
  assert bits(0, "dropout", 3) == (513073791, 4132922701)


def test_the_other_generator_has_wider_keys():
  assert len(bits(0, "dropout", 3, implementation="rbg")) == 4
