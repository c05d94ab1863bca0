# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's AdamW against an independent derivation in float64."""

import dataclasses
import math

import jax
import numpy as np
import optax
import pytest

from bertjax.config import OptimizerConfig
from bertjax.model.parameters import by_name
from bertjax.optim import make_optimizer, make_schedule
from bertjax.optim.optimizers import (
  clip_by_global_norm,
  decay_mask,
)
from tests.testing.descent import descend, draw, nested
from tests.testing.examples import init_params

STEPS = 12
CONFIG = OptimizerConfig(
  learning_rate=0.05, warmup_steps=3, weight_decay=0.1, epsilon=1e-3
)
SHAPES = {
  "encoder/layers/mlp_up/kernel": (4, 6),
  "encoder/layers/mlp_up/bias": (6,),
  "encoder/layers/mlp_layer_norm/scale": (6,),
  "encoder/layers/mlp_layer_norm/bias": (6,),
  "encoder/embeddings/word/embedding": (9, 4),
  "pooler/dense/kernel": (4, 4),
  "pooler/dense/bias": (4,),
}
DECAYED = {name for name in SHAPES if name.endswith(("kernel", "embedding"))}
PARAMS = draw(SHAPES, 99)
# Large enough that clipping binds at some steps and not at others.
GRADIENTS = [
  draw(SHAPES, seed, 0.3 if seed % 3 else 0.01) for seed in range(STEPS)
]


def run(config, inactive=()):
  """Parameters after all steps, and the last state."""
  optimizer = make_optimizer(
    config, make_schedule(config, STEPS), inactive=inactive
  )
  return descend(optimizer, PARAMS, GRADIENTS)


def by_hand(config, active, *, corrected):
  """The update rule, one scalar formula after another, in float64."""
  values = {name: leaf.astype(np.float64) for name, leaf in PARAMS.items()}
  mean = {name: np.zeros_like(leaf) for name, leaf in values.items()}
  square = {name: np.zeros_like(leaf) for name, leaf in values.items()}
  clipped = 0
  for step, drawn in enumerate(GRADIENTS):
    gradients = {name: leaf.astype(np.float64) for name, leaf in drawn.items()}
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
      if name in DECAYED:
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
  name = "encoder/layers/mlp_up/kernel"
  assert np.abs(plain[name] - corrected[name]).max() > 1e-2


def test_what_no_loss_reaches_keeps_its_bits_and_has_no_state():
  got, state = run(CONFIG, inactive=("pooler",))
  active = [name for name in got if not name.startswith("pooler")]
  for name, leaf in by_hand(CONFIG, active, corrected=False).items():
    if name in active:
      np.testing.assert_allclose(got[name], leaf, rtol=2e-5, atol=2e-6)
    else:
      np.testing.assert_array_equal(got[name], PARAMS[name])
  moments = [leaf.shape for leaf in jax.tree.leaves(state)]
  assert (4, 4) not in moments
  # Two moments of every active parameter, and the schedule's count.
  assert len(moments) == 2 * len(active) + 1


def test_an_inactive_path_that_does_not_exist_is_named():
  optimizer = make_optimizer(
    CONFIG, make_schedule(CONFIG, STEPS), inactive=("poler",)
  )
  with pytest.raises(ValueError, match="inactive='poler' holds no parameter"):
    optimizer.init(nested(PARAMS))


def test_every_kernel_and_table_decays_and_nothing_else():
  mask = by_name(decay_mask(init_params()))
  for name, decays in mask.items():
    kind = name.rsplit("/", 1)[1]
    assert decays == (kind in {"kernel", "embedding"}), name
  assert sum(mask.values()) == 3 + 6 + 3


CLIPPED = {"kernel": (5, 3, 2), "bias": (7,), "scale": ()}


def clip(gradients, limit):
  clipping = clip_by_global_norm(limit)
  clipped, _ = jax.jit(clipping.update)(gradients, clipping.init(gradients))
  return clipped


def global_norm(tree):
  squares = [(leaf.astype(np.float64) ** 2).sum() for leaf in tree.values()]
  return np.sqrt(sum(squares))


@pytest.mark.parametrize("scale", [0.5, 100.0])
def test_a_norm_beyond_the_limit_becomes_the_limit(scale):
  gradients = draw(CLIPPED, 0, scale)
  norm = global_norm(gradients)
  assert norm > 1.5
  clipped = clip(gradients, 1.5)
  for name, leaf in clipped.items():
    np.testing.assert_allclose(leaf, gradients[name] * 1.5 / norm, rtol=1e-6)
  reference = optax.clip_by_global_norm(1.5)
  expected, _ = reference.update(gradients, reference.init(gradients))
  jax.tree.map(
    lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=1e-6),
    clipped,
    expected,
  )


@pytest.mark.parametrize("scale", [0.0, 1e-20, 0.1])
def test_a_norm_within_the_limit_keeps_every_bit(scale):
  gradients = draw(CLIPPED, 0, scale)
  assert global_norm(gradients) < 1.5
  for name, leaf in clip(gradients, 1.5).items():
    np.testing.assert_array_equal(leaf, gradients[name])
