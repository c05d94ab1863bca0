# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""LAMB against an independent derivation in float64, layer by layer."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.config import MeshConfig, OptimizerConfig
from bertjax.model import parameters
from bertjax.model.parameters import find
from bertjax.optim import make_optimizer, make_schedule
from bertjax.parallel.mesh import make_mesh
from tests.testing.descent import descend, draw, nested

STEPS = 6
CONFIG = OptimizerConfig(
  name="lamb",
  learning_rate=0.05,
  warmup_steps=0,
  schedule="constant",
  weight_decay=0.1,
  epsilon=1e-3,
)
LAYERS = "encoder/layers/"
# L = 3, D = 8, H = 2, K = 2, F = 16.
SHAPES = {
  f"{LAYERS}attention/query/kernel": (3, 8, 2, 2),
  f"{LAYERS}attention/query/bias": (3, 2, 2),
  f"{LAYERS}attention/out/kernel": (3, 2, 2, 8),
  f"{LAYERS}mlp_up/kernel": (3, 8, 16),
  f"{LAYERS}mlp_layer_norm/scale": (3, 8),
  "encoder/embeddings/word/embedding": (9, 8),
  "mlm_head/dense/kernel": (8, 8),
  "mlm_head/bias": (9,),
}
# google-research/albert, lamb_optimizer.py: parameters without decay are not
# adapted.
ADAPTED = {name for name in SHAPES if name.endswith(("kernel", "embedding"))}
ZERO_PARAM = (f"{LAYERS}mlp_up/kernel", 1)
ZERO_GRADIENT = (f"{LAYERS}attention/out/kernel", 2)


def start():
  """Layers whose norms lie far apart, and one that starts at zero."""
  params = draw(SHAPES, 99)
  for name, leaf in params.items():
    if name.startswith(LAYERS):
      for layer, scale in enumerate((0.1, 1.0, 10.0)):
        leaf[layer] *= scale
  name, layer = ZERO_PARAM
  params[name][layer] = 0
  return params


def pull(seed):
  """Gradients of which some are clipped, and one layer without any."""
  gradients = draw(SHAPES, seed, 0.3 if seed % 3 else 0.01)
  name, layer = ZERO_GRADIENT
  gradients[name][layer] = 0
  return gradients


PARAMS = start()
GRADIENTS = [pull(seed) for seed in range(STEPS)]


def clipped(config):
  """Float64 gradients of every step, scaled to the global norm's limit."""
  for tree in GRADIENTS:
    exact = {name: leaf.astype(np.float64) for name, leaf in tree.items()}
    norm = np.sqrt(sum((leaf**2).sum() for leaf in exact.values()))
    shrink = min(1.0, config.clip_norm / norm)
    yield {name: shrink * leaf for name, leaf in exact.items()}


def one_layer(config, value, gradients, *, adapted):
  """You et al. (2019), algorithm 2, with φ(z) = z."""
  mean, square = np.zeros_like(value), np.zeros_like(value)
  for step, gradient in enumerate(gradients, 1):
    mean = config.beta1 * mean + (1 - config.beta1) * gradient
    square = config.beta2 * square + (1 - config.beta2) * gradient**2
    m = mean / (1 - config.beta1**step)
    v = square / (1 - config.beta2**step)
    update = m / (np.sqrt(v) + config.epsilon)
    if adapted:
      update = update + config.weight_decay * value
      norms = np.sqrt((value**2).sum()), np.sqrt((update**2).sum())
      if all(norms):
        update = update * norms[0] / norms[1]
    value = value - config.learning_rate * update
  return value


def by_hand(config, name):
  value = PARAMS[name].astype(np.float64)
  gradients = [tree[name] for tree in clipped(config)]
  adapted = name in ADAPTED
  if not name.startswith(LAYERS):
    return one_layer(config, value, gradients, adapted=adapted)
  return np.stack(
    [
      one_layer(config, layer, [g[index] for g in gradients], adapted=adapted)
      for index, layer in enumerate(value)
    ]
  )


def apart(flat):
  """The same parameters with an array for each layer."""
  tree = {}
  for name, leaf in flat.items():
    if name.startswith(LAYERS):
      for layer, part in enumerate(leaf):
        tree[name.replace("layers", f"layer_{layer}")] = part
    else:
      tree[name] = leaf
  return tree


@pytest.mark.parametrize("weight_decay", [0.1, 0.0])
def test_lamb_equals_a_float64_derivation(weight_decay):
  config = dataclasses.replace(CONFIG, weight_decay=weight_decay)
  norms = [optax.tree.norm(tree) for tree in GRADIENTS]
  assert min(norms) < config.clip_norm < max(norms)
  got, state = descend(
    make_optimizer(config, make_schedule(config, STEPS)), PARAMS, GRADIENTS
  )
  expected = apart({name: by_hand(config, name) for name in SHAPES})
  for name, leaf in apart(got).items():
    size = np.abs(expected[name]).max()
    np.testing.assert_allclose(
      leaf, expected[name], rtol=0, atol=1e-5 * size, err_msg=name
    )
    assert leaf.dtype == np.float32
  kinds = {leaf.dtype for leaf in jax.tree.leaves(state) if leaf.ndim}
  assert kinds == {np.dtype(np.float32)}


def test_a_layer_without_update_stays_where_decay_is_off():
  config = dataclasses.replace(CONFIG, weight_decay=0.0)
  got, _ = descend(
    make_optimizer(config, make_schedule(config, STEPS)), PARAMS, GRADIENTS
  )
  name, layer = ZERO_GRADIENT
  np.testing.assert_array_equal(got[name][layer], PARAMS[name][layer])


def test_stacked_layers_go_as_layers_apart(monkeypatch):
  for name in SHAPES:
    row = dataclasses.replace(find(name), is_stacked=False)
    for other in apart({name: PARAMS[name]}):
      monkeypatch.setitem(parameters.PARAMETERS, other, row)
  optimizer = make_optimizer(CONFIG, make_schedule(CONFIG, STEPS))
  stacked, _ = descend(optimizer, PARAMS, GRADIENTS)
  single, _ = descend(
    optimizer, apart(PARAMS), [apart(tree) for tree in GRADIENTS]
  )
  assert len(single) > len(stacked)
  for name, leaf in apart(stacked).items():
    np.testing.assert_allclose(
      single[name], leaf, rtol=1e-6, atol=1e-6, err_msg=name
    )


def test_a_step_is_as_long_as_the_rate_times_the_layer():
  """The law of LAMB: ‖Δw‖ = learning rate × ‖w‖, whatever the gradient."""
  optimizer = make_optimizer(CONFIG, make_schedule(CONFIG, STEPS))
  got, _ = descend(optimizer, PARAMS, GRADIENTS[:1])
  for name in ADAPTED:
    moved = apart({name: got[name] - PARAMS[name]})
    for part, before in apart({name: PARAMS[name]}).items():
      if before.any():
        np.testing.assert_allclose(
          np.linalg.norm(moved[part]),
          CONFIG.learning_rate * np.linalg.norm(before),
          rtol=1e-4,
          err_msg=part,
        )


def test_what_no_loss_reaches_is_neither_changed_nor_adapted():
  optimizer = make_optimizer(
    CONFIG, make_schedule(CONFIG, STEPS), inactive=("mlm_head",)
  )
  quiet = [
    {
      name: np.zeros_like(leaf) if name.startswith("mlm_head") else leaf
      for name, leaf in tree.items()
    }
    for tree in GRADIENTS
  ]
  got, _ = descend(optimizer, PARAMS, GRADIENTS)
  expected, _ = descend(
    make_optimizer(CONFIG, make_schedule(CONFIG, STEPS)), PARAMS, quiet
  )
  for name, leaf in got.items():
    if name.startswith("mlm_head"):
      np.testing.assert_array_equal(leaf, PARAMS[name])
    else:
      np.testing.assert_allclose(leaf, expected[name], rtol=1e-5)


def test_a_mesh_changes_no_parameter_and_gathers_none():
  mesh = make_mesh(MeshConfig(data=1, fsdp=8))
  optimizer = make_optimizer(CONFIG, make_schedule(CONFIG, STEPS))

  def place(leaf):
    # The axis of eight, which is the width, where there is one.
    axes = ["fsdp" if size == 8 else None for size in leaf.shape]
    if axes.count("fsdp") > 1:
      axes[-1] = None
    return jax.device_put(leaf, NamedSharding(mesh, PartitionSpec(*axes)))

  params, gradients = (
    jax.tree.map(place, nested(tree)) for tree in (PARAMS, GRADIENTS[0])
  )
  state = jax.tree.map(place, optimizer.init(params))
  step = jax.jit(optimizer.update).lower(gradients, state, params).compile()
  assert "all-gather" not in (step.as_text() or "")
  updates, _ = step(gradients, state, params)
  alone, _ = jax.jit(optimizer.update)(
    nested(GRADIENTS[0]), optimizer.init(nested(PARAMS)), nested(PARAMS)
  )
  jax.tree.map(
    lambda got, expected: np.testing.assert_allclose(
      jax.device_get(got), expected, rtol=2e-5, atol=1e-7
    ),
    updates,
    alone,
  )
