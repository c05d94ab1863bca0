# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which parameters an optimizer moves and decays, and what it clips."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

from bertjax.model.parameters import by_name, map_parameters
from bertjax.optim import make_optimizer, make_schedule
from bertjax.optim.optimizers import (
  UPDATE_RULES,
  clip_by_global_norm,
  decay_mask,
  make_decay_mask,
)
from tests.testing.adamw import CONFIG, PARAMS, STEPS, by_hand, run
from tests.testing.descent import draw, nested
from tests.testing.examples import init_params


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


def spared(**fields):
  """Return what decays by default, and not with these fields."""
  params = init_params()
  config = dataclasses.replace(CONFIG, **fields)
  before, after = (
    by_name(make_decay_mask(each)(params)) for each in (CONFIG, config)
  )
  assert all(before[name] for name in after if after[name])
  return {name for name in before if before[name] and not after[name]}


def test_embeddings_and_heads_may_be_spared_the_decay():
  kept = spared(decay_embeddings=False)
  assert kept == {
    f"encoder/embeddings/{name}/embedding"
    for name in ("word", "position", "type")
  }
  kept = spared(decay_heads=False)
  assert kept == {"mlm_head/dense/kernel", "pair_head/dense/kernel"}


def test_what_is_spared_moves_as_without_decay_and_the_rest_as_before():
  """By default nothing is spared, and no bit of the arithmetic changes."""
  whole, _ = run(CONFIG)
  free, _ = run(dataclasses.replace(CONFIG, weight_decay=0.0))
  tables, _ = run(dataclasses.replace(CONFIG, decay_embeddings=False))
  differing = set()
  for name, leaf in tables.items():
    is_table = name.startswith("encoder/embeddings/")
    np.testing.assert_array_equal(leaf, (free if is_table else whole)[name])
    if (whole[name] != free[name]).any():
      differing.add(name)
  assert any(name.startswith("encoder/embeddings/") for name in differing)
  assert any(not name.startswith("encoder/embeddings/") for name in differing)


@pytest.mark.parametrize("name", ["adamw", "adamw_corrected"])
def test_by_default_the_arithmetic_is_that_of_the_table(name):
  config = dataclasses.replace(CONFIG, name=name)
  schedule = make_schedule(config, STEPS)
  plain = optax.chain(
    clip_by_global_norm(config.clip_norm),
    UPDATE_RULES[name].direction(config),
    optax.add_decayed_weights(
      config.weight_decay,
      lambda tree: map_parameters(lambda row, _: row.decays, tree),
    ),
    optax.scale_by_learning_rate(schedule),
  )
  params = nested(PARAMS)
  grads = jax.tree.map(lambda leaf: leaf * 0.3 + 0.1, params)
  updates = [
    jax.jit(each.update)(grads, each.init(params), params)[0]
    for each in (plain, make_optimizer(config, schedule))
  ]
  jax.tree.map(np.testing.assert_array_equal, *updates)


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
