# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's AdamW against an independent derivation in float64."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bertjax.config import OptimizerConfig
from bertjax.optim import make_optimizer
from bertjax.optim.optimizers import decay_mask
from tests.bertjax.examples import init_params

STEPS = 12
CONFIG = OptimizerConfig(
  learning_rate=0.05, warmup_steps=3, weight_decay=0.1, epsilon=1e-3
)
# Large enough that clipping binds at some steps and not at others.
SHAPES = {
  "encoder": {
    "mlp_up": {"kernel": (4, 6), "bias": (6,)},
    "mlp_layer_norm": {"scale": (6,), "bias": (6,)},
    "embeddings": {"word": {"embedding": (9, 4)}},
  },
  "pooler": {"dense": {"kernel": (4, 4), "bias": (4,)}},
}
DECAYED = {"mlp_up/kernel", "word/embedding", "dense/kernel"}


def draw(seed, scale=1.0):
  source = np.random.default_rng(seed)
  return jax.tree.map(
    lambda shape: (scale * source.standard_normal(shape)).astype(np.float32),
    SHAPES,
    is_leaf=lambda leaf: isinstance(leaf, tuple),
  )


GRADIENTS = [draw(seed, 0.3 if seed % 3 else 0.01) for seed in range(STEPS)]


def named(tree):
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf
    for path, leaf in jax.tree.leaves_with_path(tree)
  }


def run(config, inactive=()):
  """Parameters after all steps, and the last state."""
  optimizer = make_optimizer(config, STEPS, inactive=inactive)
  params = jax.tree.map(jnp.asarray, draw(99))
  state = optimizer.init(params)

  @jax.jit
  def step(params, state, gradients):
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state

  for gradients in GRADIENTS:
    params, state = step(params, state, gradients)
  return named(params), state


def by_hand(config, active, *, corrected):
  """The update rule, one scalar formula after another, in float64."""
  values = {
    name: leaf.astype(np.float64) for name, leaf in named(draw(99)).items()
  }
  mean = {name: np.zeros_like(leaf) for name, leaf in values.items()}
  square = {name: np.zeros_like(leaf) for name, leaf in values.items()}
  clipped = 0
  for step, tree in enumerate(GRADIENTS):
    gradients = {
      name: leaf.astype(np.float64) for name, leaf in named(tree).items()
    }
    norm = math.sqrt(sum((gradients[name] ** 2).sum() for name in active))
    shrink = min(1.0, config.clip_norm / norm)
    clipped += shrink < 1
    if step < config.warmup_steps:
      rate = config.learning_rate * step / config.warmup_steps
    else:
      rate = config.learning_rate * (1 - step / STEPS)
    for name in active:
      g = gradients[name] * shrink
      mean[name] = config.beta1 * mean[name] + (1 - config.beta1) * g
      square[name] = config.beta2 * square[name] + (1 - config.beta2) * g * g
      m, v = mean[name], square[name]
      if corrected:
        m = m / (1 - config.beta1 ** (step + 1))
        v = v / (1 - config.beta2 ** (step + 1))
      update = m / (np.sqrt(v) + config.epsilon)
      if any(name.endswith(kernel) for kernel in DECAYED):
        update = update + config.weight_decay * values[name]
      values[name] = values[name] - rate * update
  assert 0 < clipped < STEPS, "clipping must bind at some steps"
  return values


@pytest.mark.parametrize("name", ["adamw", "adamw_corrected"])
def test_adamw_equals_a_float64_derivation(name):
  config = dataclasses.replace(CONFIG, name=name)
  got, _ = run(config)
  expected = by_hand(config, got, corrected=name == "adamw_corrected")
  for path, leaf in expected.items():
    np.testing.assert_allclose(got[path], leaf, rtol=2e-5, atol=2e-6)


def test_the_two_differ():
  plain, _ = run(CONFIG)
  corrected, _ = run(dataclasses.replace(CONFIG, name="adamw_corrected"))
  name = "encoder/mlp_up/kernel"
  assert np.abs(plain[name] - corrected[name]).max() > 1e-2


def test_what_no_loss_reaches_keeps_its_bits_and_has_no_slots():
  got, state = run(CONFIG, inactive=("pooler",))
  before = named(draw(99))
  active = [name for name in got if not name.startswith("pooler")]
  for name, leaf in by_hand(CONFIG, active, corrected=False).items():
    if name in active:
      np.testing.assert_allclose(got[name], leaf, rtol=2e-5, atol=2e-6)
    else:
      np.testing.assert_array_equal(got[name], before[name])
  slots = [leaf.shape for leaf in jax.tree.leaves(state)]
  assert (4, 4) not in slots
  # Two moments of every active parameter, and the schedule's count.
  assert len(slots) == 2 * len(active) + 1


def test_an_inactive_path_that_does_not_exist_is_named():
  optimizer = make_optimizer(CONFIG, STEPS, inactive=("poler",))
  with pytest.raises(ValueError, match="inactive='poler' holds no parameter"):
    optimizer.init(draw(0))


def test_every_kernel_and_table_decays_and_nothing_else():
  mask = named(decay_mask(init_params()))
  for name, decays in mask.items():
    kind = name.rsplit("/", 1)[1]
    assert decays == (kind in {"kernel", "embedding"}), name
  assert sum(mask.values()) == 3 + 6 + 3


def test_an_unknown_optimizer_is_refused():
  with pytest.raises(ValueError, match="name='sgd'; give one of"):
    make_optimizer(dataclasses.replace(CONFIG, name="sgd"), STEPS)
