# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The table of parameters against the models, and all that read it."""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.checkpoints import resize
from bertjax.checkpoints.digest import nest
from bertjax.config import ComputeConfig
from bertjax.interop.families.bert import BERT
from bertjax.model import (
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
  parameters,
)
from bertjax.model.ops.cross_entropy import cross_entropy
from bertjax.model.parameters import (
  PARAMETERS,
  PARTS,
  by_name,
  compute_copy,
  find,
)
from bertjax.optim import muon, optimizers
from bertjax.optim.lamb import scale_by_layer_trust_ratio
from tests.testing.examples import SMALL, ragged

NARROW = ComputeConfig(dtype="bfloat16")
BATCH = ragged(3, 16)
POSITIONS_BP = (np.array([[1, 2]] * 3, np.int32),)
MODELS = {
  "pretraining": (BertForPreTraining(SMALL, NARROW), POSITIONS_BP),
  "other choices": (
    BertForPreTraining(
      dataclasses.replace(
        SMALL,
        embedding_size=16,
        feed_forward="gated",
        norm_position="pre",
        sequence_head="norm",
      ),
      NARROW,
    ),
    POSITIONS_BP,
  ),
  "classifier": (
    BertForSequenceClassification(SMALL, NARROW, num_classes=3),
    (),
  ),
  "windows": (
    BertForSequenceClassification(
      SMALL, NARROW, num_classes=3, scores_windows=True
    ),
    (),
  ),
  "tokens": (BertForTokenClassification(SMALL, NARROW, num_classes=3), ()),
  "spans": (BertForQuestionAnswering(SMALL, NARROW), ()),
}


def boxes(model, rest):
  """{name: (shape, logical axes)} of every parameter of a model."""
  made = jax.eval_shape(
    lambda key: model.init(key, BATCH, *rest, deterministic=True),
    jax.random.key(0),
  )
  leaves = jax.tree.leaves_with_path(
    made["params"], is_leaf=lambda leaf: isinstance(leaf, nn.Partitioned)
  )
  return {
    parameters.leaf_name(path): (box.value.shape, box.names)
    for path, box in leaves
  }


BOXES = {name: boxes(*MODELS[name]) for name in MODELS}
EVERY = {name: box for model in BOXES.values() for name, box in model.items()}
# Dense layers and norms that BERT does not have.
DENSE = ("encoder/embeddings/projection", "encoder/layers/mlp_gate")
NORMS = ("encoder/final_layer_norm", "pooler/layer_norm")
NORM_LEAVES = ("scale", "bias")
# Heads whose outputs are logits and not hidden states.
LOGITS = {"pair_head", "classifier", "span_head", "window_scorer"}


def drawn(boxes):
  """Parameters as a model begins with; nothing is compiled for them."""
  draw = np.random.default_rng(0)
  return nest(
    {
      leaf: np.full(shape, leaf.endswith("/scale"), np.float32)
      if leaf.endswith(("bias", "scale"))
      else (0.02 * draw.standard_normal(shape)).astype(np.float32)
      for leaf, (shape, _) in boxes.items()
    }
  )


def tree_of(name):
  return nest(
    {leaf: jnp.ones(shape) for leaf, (shape, _) in BOXES[name].items()}
  )


def test_the_table_has_every_parameter_of_every_model_and_no_other():
  assert PARAMETERS.keys() == EVERY.keys()
  assert {find(name).part for name in EVERY} == PARTS.keys()
  # No other library weighs windows, and BERT's layout has BERT's parameters.
  others = {
    f"{part}/{leaf}"
    for parts, leaves in ((DENSE, ("kernel", "bias")), (NORMS, NORM_LEAVES))
    for part in parts
    for leaf in leaves
  }
  named = [*(entry.ours for entry in BERT.table), "window_scorer/dense/kernel"]
  assert sorted([*named, *others]) == sorted(PARAMETERS)


@pytest.mark.parametrize("name", EVERY)
def test_the_table_agrees_with_the_axes_that_the_model_names(name):
  shape, axes = EVERY[name]
  row = find(name)
  part, kind = name.split("/")[0], name.split("/")[-1]
  assert row.part == part
  assert row.is_stacked == (axes[0] == "layers")
  assert (row.spare_token is not None) == (axes[0] == "vocab")
  assert "vocab" not in axes[1:]
  assert row.decays == (kind in ("kernel", "embedding"))
  assert row.is_hidden == (kind == "kernel" and part not in LOGITS)
  assert row.is_narrow == (row.decays and part not in LOGITS)
  assert bool(row.inputs) == (kind == "kernel")
  if row.is_hidden:  # between hidden states one side of it is the width
    first = int(row.is_stacked)
    sides = shape[first : first + row.inputs], shape[first + row.inputs :]
    assert SMALL.hidden_size in [math.prod(side) for side in sides]
    assert len(sides[1]) == (
      2 if "/attention/" in name and "/out/" not in name else 1
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_reader_decides_as_the_table_says(name):
  tree = tree_of(name)
  rows = {leaf: find(leaf) for leaf in BOXES[name]}
  said = lambda field: {leaf: getattr(row, field) for leaf, row in rows.items()}
  assert by_name(optimizers.decay_mask(tree)) == said("decays")
  assert by_name(muon.hidden_mask(tree)) == said("is_hidden")
  for leaf, array in by_name(compute_copy(tree, "bfloat16")).items():
    assert (array.dtype == jnp.bfloat16) == rows[leaf].is_narrow, leaf
  before = by_name(resize.shapes_before(tree, 7))
  for leaf, array in before.items():
    assert (array.shape[0] == 7) == (rows[leaf].spare_token is not None), leaf
  ratio = scale_by_layer_trust_ratio()
  # Each layer of a stack has a norm of its own, and so has its update after.
  grown = jax.tree.map(
    lambda leaf: (
      leaf
      * np.arange(1, 3, dtype=np.float32).reshape(-1, *(1,) * (leaf.ndim - 1))
      if leaf.shape[0] == 2
      else leaf
    ),
    tree,
  )
  scaled = by_name(jax.jit(ratio.update)(tree, ratio.init(grown), grown)[0])
  for leaf, array in scaled.items():
    by_layer = len({float(layer.max()) for layer in array}) > 1
    assert by_layer == (rows[leaf].is_stacked), leaf


def test_logits_of_every_head_go_by_adam():
  hidden = {name for name in EVERY if find(name).is_hidden}
  layer = "encoder/layers/"
  assert hidden == {
    *(
      f"{layer}attention/{name}/kernel"
      for name in ("query", "key", "value", "out")
    ),
    *(f"{layer}{name}/kernel" for name in ("mlp_up", "mlp_gate", "mlp_down")),
    "encoder/embeddings/projection/kernel",
    "mlm_head/dense/kernel",
    "pooler/dense/kernel",
  }


def test_heads_are_those_of_the_table():
  pretrained, spans = tree_of("pretraining"), tree_of("spans")
  assert parameters.heads(pretrained) == ("mlm_head", "pair_head")
  assert parameters.heads(pretrained, spans) == (
    "mlm_head",
    "pair_head",
    "span_head",
  )


@pytest.mark.parametrize(
  "read",
  [
    optimizers.decay_mask,
    muon.hidden_mask,
    lambda tree: compute_copy(tree, "bfloat16"),
    lambda tree: resize.shapes_before(tree, 7),
  ],
)
def test_an_unknown_parameter_is_named_by_every_reader(read):
  tree = tree_of("pretraining") | {"electra_head": {"kernel": jnp.ones((2, 2))}}
  with pytest.raises(
    ValueError, match="unknown parameter 'electra_head/kernel'"
  ):
    read(tree)


@pytest.mark.parametrize("name", MODELS)
def test_the_copy_is_what_the_model_reads_to_the_bit(name):
  """And every kernel of the encoder is in the compute dtype."""
  model, rest = MODELS[name]
  params = jax.tree.map(
    lambda leaf: (
      leaf + 0.1 * np.float32(np.sin(np.arange(leaf.size)).reshape(leaf.shape))
    ),
    drawn(BOXES[name]),
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
  params = tree_of("pretraining")
  copy = compute_copy(params, "float32")
  assert all(
    ours is theirs
    for ours, theirs in zip(
      jax.tree.leaves(copy), jax.tree.leaves(params), strict=True
    )
  )


def test_no_gradient_of_bfloat16_is_lost_in_a_sum_over_many_positions():
  """Over 8,192 positions, a quarter of which have one token."""
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
  params = drawn(BOXES["pretraining"])

  def gradients(dtype):
    model = BertForPreTraining(SMALL, ComputeConfig(dtype=dtype))

    def loss(copy):
      outputs: Any = model.apply(
        {"params": copy}, batch, all_BS, deterministic=True
      )
      masked = cross_entropy(outputs["mlm_logits_BPV"], targets_BS).sum()
      return masked + outputs["pair_logits_BRC"][..., 0].sum()

    return jax.jit(jax.grad(loss))(compute_copy(params, dtype))

  exact, narrow = gradients("float32"), gradients("bfloat16")
  for (path, want), got in zip(
    jax.tree.leaves_with_path(exact), jax.tree.leaves(narrow), strict=True
  ):
    # The softmax is invariant to a bias of the keys.
    if [key.key for key in path[-2:]] == ["key", "bias"]:
      continue
    # XLA on CPU sums some products in bfloat16.
    if path[-1].key == "kernel":
      continue
    error = np.linalg.norm(got.astype(np.float32) - want)
    assert error < 0.015 * np.linalg.norm(want), path
