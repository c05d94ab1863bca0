# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Muon against an independent derivation in float64, and against optax's."""

from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.config import MeshConfig, OptimizerConfig
from bertjax.optim import make_optimizer, make_schedule
from bertjax.optim.muon import matrix_axes, scale_by_muon_and_adam
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from tests.testing.descent import descend, draw, nested

STEPS = 4
# Of optax, without its scale.
PEER = optax.contrib.scale_by_muon(weight_dimension_numbers=matrix_axes)
CONFIG = OptimizerConfig(
  name="muon",
  learning_rate=0.05,
  warmup_steps=0,
  schedule="constant",
  weight_decay=0.1,
  epsilon=1e-6,
  clip_norm=1e6,
)
# L = 3, D = 4, H = 2, K = 2, F = 7.
SHAPES = {
  "encoder/layers/attention/query/kernel": (3, 4, 2, 2),
  "encoder/layers/attention/out/kernel": (3, 2, 2, 4),
  "encoder/layers/mlp_up/kernel": (3, 4, 7),
  "encoder/layers/mlp_up/bias": (3, 7),
  "encoder/embeddings/word/embedding": (9, 4),
  "mlm_head/dense/kernel": (4, 4),
  "pair_head/dense/kernel": (4, 2),
}
# Each kernel as a stack of (input, output) matrices.
MATRICES = {
  "encoder/layers/attention/query/kernel": (3, 4, 4),
  "encoder/layers/attention/out/kernel": (3, 4, 4),
  "encoder/layers/mlp_up/kernel": (3, 4, 7),
  "mlm_head/dense/kernel": (1, 4, 4),
}
DECAYED = {*MATRICES, *(name for name in SHAPES if "bias" not in name)}
PARAMS = draw(SHAPES, 99)
GRADIENTS = [draw(SHAPES, seed) for seed in range(STEPS)]


def orthogonalize(matrix):
  """Newton–Schulz with the quintic of Jordan et al. (2024), five times."""
  wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
  x = wide / np.sqrt((wide**2).sum())
  for _ in range(5):
    gram = x @ x.T
    x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
  return x if wide is matrix else x.T


def muon_by_hand(name):
  value = PARAMS[name].astype(np.float64).reshape(MATRICES[name])
  momentum = np.zeros_like(value)
  for step in range(STEPS):
    gradient = GRADIENTS[step][name].astype(np.float64).reshape(value.shape)
    momentum = 0.95 * momentum + 0.05 * gradient
    # Nesterov: where the momentum will be, each part with its correction.
    ahead = 0.95 * momentum / (1 - 0.95 ** (step + 2))
    ahead = ahead + 0.05 * gradient / (1 - 0.95 ** (step + 1))
    scale = 0.2 * max(value.shape[1:]) ** 0.5
    update = np.stack([scale * orthogonalize(layer) for layer in ahead])
    value = value - 0.05 * (update + 0.1 * value)
  return value.reshape(SHAPES[name])


def adam_by_hand(name):
  value = PARAMS[name].astype(np.float64)
  mean, square = np.zeros_like(value), np.zeros_like(value)
  for step in range(STEPS):
    gradient = GRADIENTS[step][name].astype(np.float64)
    mean = 0.9 * mean + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient**2
    root = np.sqrt(square / (1 - 0.999 ** (step + 1)))
    update = mean / (1 - 0.9 ** (step + 1)) / (root + 1e-6)
    decay = 0.1 * value if name in DECAYED else 0.0
    value = value - 0.05 * (update + decay)
  return value


def test_muon_equals_a_float64_derivation_layer_by_layer():
  got, _ = descend(
    make_optimizer(CONFIG, make_schedule(CONFIG, STEPS)), PARAMS, GRADIENTS
  )
  for name in SHAPES:
    by_hand = muon_by_hand if name in MATRICES else adam_by_hand
    np.testing.assert_allclose(
      got[name], by_hand(name), rtol=2e-4, atol=2e-5, err_msg=name
    )


def test_the_state_is_that_of_optax():
  """Checkpoints of runs that began with optax's iteration go on."""
  hidden = nested({name: PARAMS[name] for name in MATRICES})
  peer = optax.chain(PEER, optax.identity()).init(hidden)
  own: Any = scale_by_muon_and_adam(CONFIG).init(hidden)
  named = lambda state: [
    (jax.tree_util.keystr(path), leaf.shape, leaf.dtype)
    for path, leaf in jax.tree.leaves_with_path(state)
  ]
  assert named(own.inner_states[True].inner_state) == named(peer)


def test_updates_are_those_of_optax():
  # D = 64, F = 192.
  shapes = {
    "encoder/layers/attention/out/kernel": (2, 4, 16, 64),
    "encoder/layers/mlp_up/kernel": (2, 64, 192),
    "encoder/layers/mlp_down/kernel": (2, 192, 64),
    "pooler/dense/kernel": (64, 64),
  }
  gradient = nested(draw(shapes, 1, scale=1e-3))
  optimizer = scale_by_muon_and_adam(CONFIG)
  with jax.numpy_dtype_promotion("standard"):
    got, _ = jax.jit(optimizer.update)(gradient, optimizer.init(gradient))
    peer, _ = jax.jit(PEER.update)(gradient, PEER.init(gradient))

  def check(got, peer):
    longer = max(got.shape[-1], got.shape[-2])
    expected = peer * np.float32(0.2 * longer**0.5)
    limit = 2e-5 * np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=limit)

  jax.tree.map(check, got, peer)


def test_a_mesh_gathers_no_more_than_with_optax():
  mesh = make_mesh(MeshConfig(data=1, fsdp=8))
  shapes = {
    "encoder/layers/mlp_up/kernel": (2, 16, 64),
    "encoder/layers/mlp_down/kernel": (2, 64, 16),
  }
  where = NamedSharding(mesh, PartitionSpec(None, "fsdp"))
  gradient = jax.tree.map(
    lambda leaf: jax.device_put(leaf, where), nested(draw(shapes, 1))
  )

  def count(update, state):
    def in_mesh(gradient):
      with sharding.activate(mesh), jax.numpy_dtype_promotion("standard"):
        return update(gradient, state)[0]

    text = jax.jit(in_mesh).lower(gradient).compile().as_text() or ""
    return text.count(" all-gather("), text.count(" all-reduce(")

  optimizer = scale_by_muon_and_adam(CONFIG)
  got = count(optimizer.update, optimizer.init(gradient))
  peer = count(PEER.update, PEER.init(gradient))
  assert got <= peer
  assert sum(peer) > 0
