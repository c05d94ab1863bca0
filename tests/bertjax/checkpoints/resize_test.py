# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of new tokens are means of old rows, and nothing else changes."""

import dataclasses
import functools
import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.checkpoints import bundle, resize
from bertjax.checkpoints.resize import resize_embeddings, shapes_before
from bertjax.config import MeshConfig
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import by_name
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from tests.testing import tiny

TABLE, BIAS = "encoder/embeddings/word/embedding", "mlm_head/bias"
LARGER = dataclasses.replace(tiny.CONFIG, vocab_size=96)
# One on an unused row, some on rows that padded the old table, some beyond it.
PARTS = {7: (9, 11), 62: (8,), 64: (5, 6, 5), 70: (63, 10), 71: (20, 30, 40)}


def init_larger(key):
  return BertForPreTraining(LARGER).init(
    {"params": key},
    empty_batch(ENCODER_FEATURES, {"B": 1, "S": tiny.LENGTH, "R": 1}),
    jnp.zeros((1, 1), jnp.int32),
    deterministic=True,
  )["params"]


def target(mesh):
  """Shapes of the larger model, with shardings."""
  boxed = jax.eval_shape(init_larger, jax.random.key(0))
  places = sharding.param_shardings(boxed, mesh)
  return jax.tree.map(
    lambda leaf, place: jax.ShapeDtypeStruct(
      leaf.shape, leaf.dtype, sharding=place
    ),
    nn.meta.unbox(boxed),
    places,
  )


@pytest.fixture(scope="module")
def old():
  params = tiny.params()
  generator = np.random.Generator(np.random.Philox(key=1))
  params["mlm_head"]["bias"] = generator.normal(size=64).astype(np.float32)
  return params


@pytest.fixture(scope="module")
def written(old, tmp_path_factory):
  folder = tmp_path_factory.mktemp("bundle")
  (folder / "tokenizer").mkdir()
  bundle.write_bundle(
    folder / "bundle",
    jax.tree.map(jnp.asarray, old),
    tiny.CONFIG,
    folder / "tokenizer",
    bundle.Details(pooler_trained=True),
  )
  return bundle.read_bundle_info(folder / "bundle")


@pytest.mark.parametrize(
  "shape", [pytest.param((8, 1, 1), marks=pytest.mark.full), (1, 2, 4)]
)
def test_new_rows_are_means_and_the_rest_is_bit_equal(shape, old, written):
  mesh = make_mesh(MeshConfig(*shape))
  like = target(mesh)
  before = shapes_before(like, tiny.TOKENS)
  read = bundle.load_params(written, like=before)
  grown = resize_embeddings(read, like, PARTS)
  for name, leaf in by_name(grown).items():
    assert leaf.sharding == by_name(like)[name].sharding, name
    assert leaf.shape == by_name(like)[name].shape, name
    if name not in (TABLE, BIAS):
      np.testing.assert_array_equal(leaf, by_name(old)[name])
  for name in (TABLE, BIAS):
    given, got = by_name(old)[name], np.asarray(by_name(grown)[name])
    kept = [id_ for id_ in range(tiny.TOKENS) if id_ not in PARTS]
    np.testing.assert_array_equal(got[kept], given[kept])
    for id_, parts in PARTS.items():
      expected = given[list(parts)].astype(float).mean(0)
      np.testing.assert_allclose(got[id_], expected, rtol=0, atol=1e-6)
    spare = [id_ for id_ in range(tiny.TOKENS, 96) if id_ not in PARTS]
    expected = given.min() if name == BIAS else given.astype(float).mean(0)
    np.testing.assert_allclose(
      got[spare], np.broadcast_to(expected, got[spare].shape), atol=1e-6
    )


@pytest.mark.parametrize("rows", [pytest.param(64, marks=pytest.mark.full), 62])
def test_a_table_is_never_whole_on_a_device(rows, old):
  """Neither when it is read, nor in the program that resizes it (law 7)."""
  like = target(make_mesh(MeshConfig(1, 2, 4)))
  # Four shards along the rows, and 62 is not a multiple of 4.
  before = by_name(shapes_before(like, rows))[TABLE]
  width = tiny.CONFIG.hidden_size
  shard = before.sharding.shard_shape(before.shape)
  assert np.prod(shard) == rows * width // 8
  given = by_name(old)[TABLE][:rows]
  tables = [
    {"encoder": {"embeddings": {"word": {"embedding": table}}}}
    for table in (jax.device_put(given, before.sharding), by_name(like)[TABLE])
  ]
  grown = by_name(resize_embeddings(tables[0], tables[1], {64: (5, 6)}))[TABLE]
  assert grown.sharding == by_name(like)[TABLE].sharding
  np.testing.assert_array_equal(grown[:rows], given)
  compiled = jax.jit(
    functools.partial(resize._resize, size=96, spare_token="mean"),
    out_shardings=by_name(like)[TABLE].sharding,
  ).lower(before, *resize._flat({64: (5, 6)}))
  shapes = re.findall(r"f32\[([\d,]+)\]", compiled.compile().as_text() or "")
  sizes = [np.prod([int(n) for n in shape.split(",")]) for shape in shapes]
  assert max(sizes) < rows * width // 2


def test_without_new_tokens_nothing_changes(old):
  assert resize_embeddings(old, old, {}) is old


def test_logits_of_new_tokens_are_the_means_of_their_parts(old):
  mesh = make_mesh(MeshConfig(2, 1, 4))
  like = target(mesh)
  placed = jax.tree.map(
    lambda leaf, shape: jax.device_put(leaf, shape.sharding),
    old,
    shapes_before(like, tiny.TOKENS),
  )
  grown = jax.device_get(resize_embeddings(placed, like, PARTS))
  batch = tiny.batch(1)
  features = {name: jnp.asarray(batch[name]) for name in ENCODER_FEATURES}
  # Text of tokens that both vocabularies have.
  features["tokens_BS"] = jnp.where(
    features["tokens_BS"] % 57 < 8, 8, features["tokens_BS"] % 57
  )
  slots_BP = jnp.zeros((tiny.ROWS, 3), jnp.int32) + jnp.arange(3)[None]

  @functools.partial(jax.jit, static_argnums=0)
  def outputs(config, params):
    model = BertForPreTraining(config)
    apply: Any = functools.partial(model.apply, {"params": params}, features)
    states = apply(method="encode", deterministic=True)
    return *states, apply(slots_BP, deterministic=True)["mlm_logits_BPV"]

  *states, logits = outputs(tiny.CONFIG, old)
  *states_now, logits_now = outputs(LARGER, grown)
  for state, now in zip(states, states_now, strict=True):
    np.testing.assert_array_equal(state, now)
  logits, logits_now = np.asarray(logits), np.asarray(logits_now)
  kept = [id_ for id_ in range(tiny.TOKENS) if id_ not in PARTS]
  np.testing.assert_allclose(
    logits_now[..., kept], logits[..., kept], atol=1e-6
  )
  for id_, parts in PARTS.items():
    mean = logits[..., list(parts)].mean(-1)
    np.testing.assert_allclose(logits_now[..., id_], mean, atol=1e-5)
