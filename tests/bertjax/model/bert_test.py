# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The composition: published sizes, packing, dtypes, gathered logits."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import SIZES, ComputeConfig, ObjectiveConfig
from bertjax.model import BertForPreTraining
from bertjax.objectives.losses import weighted_total
from bertjax.objectives.masking import mask_tokens, num_slots
from bertjax.objectives.pretraining import (
  coefficients,
  pretraining_losses,
  pretraining_weights,
)
from tests.testing.examples import (
  SMALL,
  equations,
  example,
  init_params,
  ragged,
  rows,
  vocabulary,
)

# Parameters of encoder and pooler, and of these with both heads (tied).
PUBLISHED = {
  "tiny": (4_385_920, 4_433_468),
  "mini": (11_170_560, 11_267_900),
  "small": (28_763_648, 29_058_876),
  "medium": (41_373_184, 41_668_412),
  "base": (109_482_240, 110_106_428),
  "large": (335_141_888, 336_226_108),
}
LENGTHS = (9, 14, 5, 21, 6)
EXAMPLES = [example(length, seed=4) for length in LENGTHS]
PARAMS = init_params()
FLOAT32, NSP = ComputeConfig(), ObjectiveConfig()


def encode(batch, compute=FLOAT32):
  model = BertForPreTraining(SMALL, compute)
  return jax.jit(
    lambda batch: model.apply(
      {"params": PARAMS}, batch, method="encode", deterministic=True
    )
  )(batch)


def loss_function(compute=FLOAT32, objective=NSP, *, deterministic=False):
  """(params, batch) → total, with dropout."""
  model = BertForPreTraining(SMALL, compute)

  def loss(params, batch):
    length, packs = batch["tokens_BS"].shape[1], batch["key_BR2"].shape[1]
    slots = num_slots(length, max(2, packs), objective.mask_rate)
    masked = mask_tokens(batch, vocabulary(), objective, slots=slots)
    outputs: Any = model.apply(
      {"params": params},
      batch | {"tokens_BS": masked.tokens_BS},
      masked.positions_BP,
      deterministic=deterministic,
      rngs={"dropout": jax.random.key(0)},
    )
    prepared = {**batch, "masked": masked}
    return weighted_total(
      pretraining_losses(outputs, prepared, objective, None),
      pretraining_weights(prepared, objective),
      coefficients(objective),
    )

  return loss


@pytest.mark.parametrize("size", SIZES)
def test_parameters_count_as_published(size):
  batch = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 4, "R": 1})
  positions_BP = np.zeros((1, 1), np.int32)
  model = BertForPreTraining(SIZES[size])
  params = jax.eval_shape(
    lambda key: model.init(key, batch, positions_BP, deterministic=True),
    jax.random.key(0),
  )["params"]
  count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
  body = count([params["encoder"], params["pooler"]])
  assert (body, count(params)) == PUBLISHED[size]


def test_every_parameter_names_its_axes():
  batch = rows([EXAMPLES[:1]], 16, 1)
  positions_BP = np.zeros((1, 1), np.int32)
  model = BertForPreTraining(SMALL)
  params = jax.eval_shape(
    lambda key: model.init(key, batch, positions_BP, deterministic=True),
    jax.random.key(0),
  )["params"]
  boxes = jax.tree.leaves(
    params, is_leaf=lambda leaf: isinstance(leaf, nn.LogicallyPartitioned)
  )
  known = {None, "embed", "heads", "kv", "mlp", "vocab", "layers"}
  for box in boxes:
    assert isinstance(box, nn.LogicallyPartitioned)
    assert len(box.names) == box.value.ndim
    assert set(box.names) <= known
  layers = nn.get_partition_spec(params["encoder"]["layers"])
  assert all(spec[0] == "layers" for spec in jax.tree.leaves(layers))


def test_packed_examples_have_the_hidden_states_of_unpacked_ones():
  packed = rows([EXAMPLES[:3], EXAMPLES[3:]], 32, 3)
  alone = rows([[one] for one in EXAMPLES], 32, 1)
  packed_hidden, packed_pooled = encode(packed)
  alone_hidden, alone_pooled = encode(alone)
  place = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
  for number, (b, r) in enumerate(place):
    start, length = packed["starts_BR"][b, r], LENGTHS[number]
    np.testing.assert_allclose(
      packed_hidden[b, start : start + length],
      alone_hidden[number, :length],
      atol=1e-5,
      rtol=0,
    )
    np.testing.assert_allclose(
      packed_pooled[b, r], alone_pooled[number, 0], atol=1e-5, rtol=0
    )


def test_packed_examples_have_the_loss_and_gradients_of_unpacked_ones():
  """Their masks too: they are made of the batch in here."""
  run = jax.jit(jax.value_and_grad(loss_function(deterministic=True)))
  packed = rows([EXAMPLES[:3], EXAMPLES[3:]], 48, 3)
  alone = rows([[one] for one in EXAMPLES], 24, 1)
  (loss, gradients), (expected, others) = (
    run(PARAMS, batch) for batch in (packed, alone)
  )
  assert float(loss) == pytest.approx(float(expected), rel=1e-6)
  for (path, left), right in zip(
    jax.tree.leaves_with_path(gradients), jax.tree.leaves(others), strict=True
  ):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    if not name.endswith("key/bias"):
      gap = np.abs(left - right).max()
      assert gap <= 1e-5 * np.abs(right).max(), name


def test_padding_is_invisible_exactly():
  batch = ragged(6, 24)
  real_BS = batch["packs_BS"] > 0
  assert (~real_BS).any()
  other = dict(batch)
  for name, value in (("tokens_BS", 77), ("types_BS", 1), ("positions_BS", 9)):
    other[name] = np.where(real_BS, batch[name], np.int32(value))
  (hidden, pooled), (other_hidden, other_pooled) = encode(batch), encode(other)
  hidden, other_hidden = np.asarray(hidden), np.asarray(other_hidden)
  np.testing.assert_array_equal(hidden[real_BS], other_hidden[real_BS])
  np.testing.assert_array_equal(pooled, other_pooled)
  assert not np.array_equal(hidden, other_hidden)


def test_rows_do_not_see_each_other():
  batch = ragged(6, 24)
  order = np.array([3, 1, 5, 0, 2, 4])
  shuffled = {name: array[order] for name, array in batch.items()}
  np.testing.assert_allclose(
    encode(shuffled)[0], encode(batch)[0][order], atol=1e-6, rtol=0
  )


def test_only_masked_positions_reach_the_vocabulary():
  """In the train step nothing has an axis of S and one of V."""
  batch = ragged(3, 24)
  jaxpr = jax.make_jaxpr(jax.grad(loss_function()))(PARAMS, batch)
  every = {
    tuple(value.aval.shape)
    for equation in equations(jaxpr.jaxpr)
    for value in equation.outvars
    if hasattr(value.aval, "shape")
  }
  slots = num_slots(24, 2, 0.15)
  assert (3, slots, SMALL.vocab_size) in every
  tokens = {24, 3 * 24}
  assert not [
    shape
    for shape in every
    if SMALL.vocab_size in shape and tokens & set(shape)
  ]


def test_no_parameter_is_out_of_reach_of_the_losses():
  gradients = jax.jit(jax.grad(loss_function()))(PARAMS, ragged(8, 24))
  for path, leaf in jax.tree.leaves_with_path(gradients):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    # Softmax does not feel a constant added to all scores of a query.
    if not name.endswith("key/bias"):
      assert np.abs(leaf).max() > 1e-6, name


def test_without_a_pair_loss_pooler_and_pair_head_are_out_of_reach():
  objective = ObjectiveConfig(next_sentence="off")
  gradients = jax.jit(jax.grad(loss_function(objective=objective)))(
    PARAMS, ragged(8, 24)
  )
  for name, tree in gradients.items():
    silent = all(not np.any(leaf) for leaf in jax.tree.leaves(tree))
    assert silent == (name in {"pooler", "pair_head"}), name


def test_bfloat16_is_kept_between_and_float32_where_it_counts():
  model = BertForPreTraining(SMALL, ComputeConfig(dtype="bfloat16"))
  batch = ragged(2, 16)
  run = lambda key: model.apply(
    {"params": PARAMS},
    batch,
    np.zeros((2, 3), np.int32),
    deterministic=False,
    rngs={"dropout": key},
    capture_intermediates=True,
    mutable=["intermediates"],
  )
  outputs, captured = jax.eval_shape(run, jax.random.key(0))
  assert {leaf.dtype for leaf in outputs.values()} == {jnp.dtype("float32")}
  exact = ("mlm_head/__call__", "pair_head")
  for path, leaf in jax.tree.leaves_with_path(captured["intermediates"]):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    is_head = name.startswith(exact) or name.startswith("__call__")
    wanted = "float32" if is_head else "bfloat16"
    assert str(leaf.dtype) == wanted, name


def test_bfloat16_leaves_softmax_statistics_and_gradients_in_float32():
  loss = loss_function(ComputeConfig(dtype="bfloat16"))
  batch = ragged(2, 16)
  gradients = jax.eval_shape(jax.grad(loss), PARAMS, batch)
  assert {str(leaf.dtype) for leaf in jax.tree.leaves(gradients)} == {"float32"}
  jaxpr = jax.make_jaxpr(loss)(PARAMS, batch)
  seen = set()
  for equation in equations(jaxpr.jaxpr):
    name = equation.primitive.name
    if name in {"exp", "rsqrt", "log"}:
      seen.add(name)
      assert str(equation.invars[0].aval.dtype) == "float32", name
  assert seen == {"exp", "rsqrt", "log"}


def test_bfloat16_is_near_float32():
  exact, near = (
    encode(ragged(3, 16), ComputeConfig(dtype=dtype))[0].astype(jnp.float32)
    for dtype in ("float32", "bfloat16")
  )
  assert 1e-4 < np.abs(exact - near).max() < 0.15


def test_logits_use_the_word_table():
  batch = ragged(2, 16)
  positions_BP = np.array([[1, 2], [3, 4]], np.int32)
  model = BertForPreTraining(SMALL)
  run = jax.jit(
    lambda params: model.apply(
      {"params": params}, batch, positions_BP, deterministic=True
    )
  )
  before = run(PARAMS)["mlm_logits_BPV"]
  absent = max(set(range(5, 120)) - set(batch["tokens_BS"].ravel().tolist()))
  changed = jax.tree.map(np.copy, PARAMS)
  changed["encoder"]["embeddings"]["word"]["embedding"][absent] += 1.0
  after = run(changed)["mlm_logits_BPV"]
  moved = np.abs(after - before).max(axis=(0, 1)) > 1e-3
  assert np.flatnonzero(moved).tolist() == [absent]
