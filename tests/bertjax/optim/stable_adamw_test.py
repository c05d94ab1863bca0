# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""StableAdamW against a derivation in float64, layer by layer."""

import dataclasses

import jax
import numpy as np
import pytest

from bertjax.config import OptimizerConfig
from bertjax.model.parameters import find
from bertjax.optim import make_optimizer, make_schedule
from tests.testing.descent import descend, draw

STEPS = 7
CONFIG = OptimizerConfig(
  name="stable_adamw",
  learning_rate=0.05,
  warmup_steps=0,
  schedule="constant",
  weight_decay=0.1,
  epsilon=1e-3,
  clip_norm=1e6,
)
LAYERS = "encoder/layers/"
SHAPES = {
  f"{LAYERS}attention/out/kernel": (3, 2, 2, 8),
  f"{LAYERS}mlp_up/bias": (3, 16),
  "encoder/embeddings/word/embedding": (9, 8),
  "mlm_head/bias": (9,),
}
PARAMS = draw(SHAPES, 99)
# Step 4 is a spike of the loss; layer 1 has gradients far below ε².
SPIKE = 4
GRADIENTS = [
  draw(SHAPES, seed, 100.0 if seed == SPIKE else 0.1) for seed in range(STEPS)
]
for _tree in GRADIENTS:
  for _name in (name for name in SHAPES if name.startswith(LAYERS)):
    _tree[_name][1] *= 1e-6


def one_array(config, value, gradients, *, decays):
  """Wortsman et al. (2023), algorithm 2; also the RMS of each step."""
  mean, square, found = np.zeros_like(value), np.zeros_like(value), []
  decay = config.weight_decay if decays else 0.0
  for step, gradient in enumerate(gradients, 1):
    # The paper's rates, which correct the bias.
    first = config.beta1 * (1 - config.beta1 ** (step - 1))
    second = config.beta2 * (1 - config.beta2 ** (step - 1))
    first /= 1 - config.beta1**step
    second /= 1 - config.beta2**step
    mean = first * mean + (1 - first) * gradient
    square = second * square + (1 - second) * gradient**2
    rms = np.sqrt((gradient**2 / np.maximum(square, config.epsilon**2)).mean())
    rate = config.learning_rate / max(1.0, rms)
    step_by = mean / (np.sqrt(square) + config.epsilon)
    value = value - rate * decay * value - rate * step_by
    found.append(rms)
  return value, found


def by_hand(config, name):
  """Float64 parameter after all steps, and the RMS of (layer, step)."""
  value = PARAMS[name].astype(np.float64)
  gradients = [tree[name].astype(np.float64) for tree in GRADIENTS]
  decays = name.endswith(("kernel", "embedding"))
  if not find(name).is_stacked:
    value, found = one_array(config, value, gradients, decays=decays)
    return value, [found]
  layers, found = zip(
    *(
      one_array(config, layer, [g[index] for g in gradients], decays=decays)
      for index, layer in enumerate(value)
    ),
    strict=True,
  )
  return np.stack(layers), list(found)


def run(config, gradients, params=None):
  return descend(
    make_optimizer(config, make_schedule(config, STEPS)),
    PARAMS if params is None else params,
    gradients,
  )


@pytest.mark.parametrize("weight_decay", [0.1, 0.0])
def test_it_equals_a_derivation_in_float64(weight_decay):
  config = dataclasses.replace(CONFIG, weight_decay=weight_decay)
  got, state = run(config, GRADIENTS)
  for name in SHAPES:
    expected, found = by_hand(config, name)
    size = np.abs(expected).max()
    np.testing.assert_allclose(
      got[name], expected, rtol=0, atol=1e-5 * size, err_msg=name
    )
    clipped = np.array(found) > 1
    assert clipped.any(), "clipping must bind at some steps"
    assert not clipped.all(), "and not at all of them"
    assert got[name].dtype == np.float32
  kinds = {leaf.dtype for leaf in jax.tree.leaves(state) if leaf.ndim}
  assert kinds == {np.dtype(np.float32)}


def test_a_spike_moves_no_array_farther_than_a_step_before_it():
  """The law of it: without clipping a spike moves each number farther."""

  def moved(name):
    config = dataclasses.replace(CONFIG, name=name, weight_decay=0.0)
    before, _ = run(config, GRADIENTS[:SPIKE])
    after, _ = run(config, GRADIENTS[: SPIKE + 1])
    return {
      key: np.sqrt(np.square(after[key] - before[key]).mean()) for key in SHAPES
    }

  stable, plain = moved("stable_adamw"), moved("adamw_corrected")
  for name in SHAPES:
    assert stable[name] < 0.5 * CONFIG.learning_rate, name
    assert stable[name] < 0.5 * plain[name], name


def test_without_a_spike_it_is_the_adam_that_it_clips():
  """A gradient that stays the same has an RMS of one at most."""
  steady = [GRADIENTS[0]] * 4
  config = dataclasses.replace(CONFIG, name="adamw_corrected")
  got, _ = run(CONFIG, steady)
  expected, _ = run(config, steady)
  for name in SHAPES:
    np.testing.assert_allclose(got[name], expected[name], rtol=2e-6, atol=1e-7)
