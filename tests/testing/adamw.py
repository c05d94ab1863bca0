# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run of AdamW, and the same derived once more in float64."""

import math

import numpy as np

from bertjax.config import OptimizerConfig
from bertjax.optim import make_optimizer, make_schedule
from tests.testing.descent import descend, draw

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
