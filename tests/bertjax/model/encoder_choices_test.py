# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of an encoder that hold for every choice, and what each choice does."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig, checks
from bertjax.model import BertForPreTraining
from bertjax.model.encoder import Frozen
from bertjax.model.parameters import by_name, find
from tests.testing.choices import CONFIGS
from tests.testing.examples import (
  SMALL,
  assert_close,
  equations,
  example,
  init_params,
  rows,
)

LENGTHS = (9, 14, 5, 21, 6)
EXAMPLES = [example(length, seed=4) for length in LENGTHS]
ALONE = rows([[one] for one in EXAMPLES], 32, 1)
PACKED = rows([EXAMPLES[:3], EXAMPLES[3:]], 32, 3)
PLACES = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
FLOAT32 = ComputeConfig()
WHOLE = Frozen()
# 1 where there is text, 0 at padding.
REAL_BS1 = (ALONE["packs_BS"][..., None] > 0).astype(np.float32)


@functools.cache
def params_of(name):
  return init_params(CONFIGS[name])


def hidden(config, params, batch, compute=FLOAT32, frozen=WHOLE, seed=None):
  hidden_BSD, _ = BertForPreTraining(config, compute, frozen).apply(
    {"params": params},
    batch,
    method="encode",
    deterministic=seed is None,
    rngs={} if seed is None else {"dropout": jax.random.key(seed)},
  )
  return hidden_BSD


@pytest.mark.parametrize("name", CONFIGS)
def test_packing_and_padding_are_invisible(name):
  config = CONFIGS[name]
  checks.check_model(config, seq_length=32, vocab_size=1)
  run = jax.jit(functools.partial(hidden, config, params_of(name)))
  alone_BSD, packed_BSD = run(ALONE), run(PACKED)
  for number, (b, r) in enumerate(PLACES):
    start, length = PACKED["starts_BR"][b, r], LENGTHS[number]
    np.testing.assert_allclose(
      packed_BSD[b, start : start + length],
      alone_BSD[number, :length],
      atol=1e-5,
      rtol=0,
    )
  real_BS = ALONE["packs_BS"] > 0
  other = ALONE | {
    each: np.where(real_BS, ALONE[each], np.int32(value))
    for each, value in (("tokens_BS", 77), ("positions_BS", 9))
  }
  np.testing.assert_array_equal(
    np.asarray(run(other))[real_BS], np.asarray(alone_BSD)[real_BS]
  )


MIX_SD = np.random.default_rng(0).standard_normal((32, SMALL.hidden_size))


def weights_of(batch):
  """Weights of states, by place in an example, and of packs; 0 at padding."""
  packs_BS1 = batch["packs_BS"][..., None]
  packs_R = 1 + np.arange(batch["starts_BR"].shape[1])
  mix_BSD = MIX_SD[batch["positions_BS"]] * (packs_BS1 > 0)
  real_BR1 = (packs_BS1 == packs_R).any(axis=1)[..., None]
  return mix_BSD.astype(np.float32), (MIX_SD[0] * real_BR1).astype(np.float32)


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=() if name == "modernbert" else pytest.mark.full)
    for name in CONFIGS
  ],
)
def test_packing_and_padding_are_invisible_to_gradients(name):
  """Rows of padding alone have none."""
  config = CONFIGS[name]
  model = BertForPreTraining(config)

  def total(params, batch, weights):
    found: Any = model.apply(
      {"params": params}, batch, method="encode", deterministic=True
    )
    return sum(
      jnp.sum(jnp.sin(each) * weight)
      for each, weight in zip(found, weights, strict=True)
      if each is not None
    )

  run = jax.jit(jax.grad(total))
  padded = rows([EXAMPLES[:3], [], EXAMPLES[3:]], 32, 3)
  got, expected = (
    by_name(run(params_of(name), batch, weights_of(batch)))
    for batch in (padded, ALONE)
  )
  for path, leaf in expected.items():
    if path.endswith("key/bias") and config.positions != "rotary":
      continue  # zero but for rounding
    largest = np.abs(leaf).max()
    assert (largest > 0) == path.startswith(("encoder/", "pooler/")), path
    assert np.abs(got[path] - leaf).max() <= 1e-5 * largest, path


@pytest.mark.parametrize("name", CONFIGS)
def test_every_parameter_has_a_row_and_feels_the_loss(name):
  """But for the norm that ModernBERT's first layer does not have."""
  config, params = CONFIGS[name], params_of(name)
  model = BertForPreTraining(config)
  positions_BP = np.array([[1, 2]] * len(LENGTHS), np.int32)

  def total(params):
    outputs: Any = model.apply(
      {"params": params}, ALONE, positions_BP, deterministic=True
    )
    return sum(jnp.sum(jnp.sin(leaf)) for leaf in outputs.values())

  for path, leaf in by_name(jax.jit(jax.grad(total))(params)).items():
    layers = leaf if find(path).is_stacked else leaf[None]
    if path.endswith("key/bias") and config.positions != "rotary":
      continue
    felt = [bool(np.any(layer)) for layer in layers]
    unread = (
      path.endswith("attention_layer_norm/scale")
      and not config.first_attention_norm
    )
    assert felt == [not unread, *[True] * (len(layers) - 1)], path


@functools.cache
def dropping(name, compute=FLOAT32):
  """Return value and gradients of an encoder that drops units."""
  config = dataclasses.replace(
    CONFIGS[name], hidden_dropout_rate=0.1, attention_dropout_rate=0.1
  )
  loss = lambda params: jnp.sum(
    jnp.sin(hidden(config, params, ALONE, compute, seed=3)) * REAL_BS1
  )
  return jax.jit(jax.value_and_grad(loss))(params_of(name))


@pytest.mark.parametrize(
  "name",
  [
    "modernbert",
    pytest.param("groups", marks=pytest.mark.full),
    pytest.param("rms", marks=pytest.mark.full),
  ],
)
@pytest.mark.parametrize(
  "compute",
  [
    ComputeConfig(unroll=2),
    ComputeConfig(remat="attention"),
    ComputeConfig(remat="dots", unroll=4),
    ComputeConfig(remat="full"),
  ],
  ids=lambda compute: f"unroll={compute.unroll},remat={compute.remat}",
)
def test_unrolling_and_remat_change_no_value_and_no_gradient(name, compute):
  assert_close(dropping(name, compute), dropping(name), 1e-5)


def test_frozen_layers_keep_their_windows_and_have_no_gradient():
  config, params = CONFIGS["modernbert"], params_of("modernbert")

  def run(frozen):
    loss = lambda params: jnp.sum(
      jnp.sin(hidden(config, params, ALONE, frozen=frozen)) * REAL_BS1
    )
    return jax.jit(jax.value_and_grad(loss))(params)

  (value, grads), (expected, whole) = run(Frozen(True, 2)), run(WHOLE)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  kernel = lambda tree: tree["encoder"]["layers"]["mlp_gate"]["kernel"]
  assert not kernel(grads)[:2].any()
  np.testing.assert_allclose(kernel(grads)[2:], kernel(whole)[2:], atol=1e-4)


@pytest.mark.parametrize("name", ["albert", "groups"])
def test_shared_layers_are_layers_with_equal_weights(name):
  """States are equal; a group's gradient is the sum over its layers."""
  config, params = CONFIGS[name], params_of(name)
  own = dataclasses.replace(config, layer_groups=0)
  repeats = config.num_layers // config.layer_groups
  unshared = {
    **params,
    "encoder": {
      **params["encoder"],
      "layers": jax.tree.map(
        lambda leaf: np.repeat(leaf, repeats, axis=0),
        params["encoder"]["layers"],
      ),
    },
  }

  def run(config, params):
    loss = lambda params: jnp.sum(jnp.sin(hidden(config, params, ALONE)))
    return jax.jit(jax.value_and_grad(loss))(params)

  (value, grads), (expected, others) = run(config, params), run(own, unshared)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  summed = jax.tree.map(
    lambda leaf: leaf.reshape(-1, repeats, *leaf.shape[1:]).sum(axis=1),
    others["encoder"]["layers"],
  )
  assert_close(grads["encoder"]["layers"], summed, 1e-4)


def test_layers_that_share_are_traced_once_however_many_they_are():
  """And drop other units in each layer."""
  counts, splits = [], []
  for layers in (1, 12):
    config = dataclasses.replace(
      CONFIGS["albert"], num_layers=layers, hidden_dropout_rate=0.1
    )
    trace = jax.make_jaxpr(
      jax.grad(
        lambda params, config=config: hidden(
          config, params, ALONE, seed=1
        ).sum()
      )
    )(params_of("albert"))
    names = [each.primitive.name for each in equations(trace.jaxpr)]
    counts.append(names.count("dot_general"))
    splits += [
      tuple(each.outvars[0].aval.shape)
      for each in equations(trace.jaxpr)
      if each.primitive.name == "random_split"
    ]
  assert counts[0] == counts[1]
  assert (12,) in splits


def test_a_window_sees_half_of_its_positions_on_either_side():
  """One layer after another moves what is seen by half a window."""
  config = dataclasses.replace(
    CONFIGS["modernbert"],
    num_layers=3,
    global_every=3,
    positions="sinusoidal",
    rotary_base=10_000.0,
    rotary_local_base=0.0,
  )
  params = init_params(config)
  layers = params["encoder"]["layers"]
  # The first layer sees all of an example; so take what it attends to away.
  layers["attention"]["value"]["kernel"][0] = 0
  batch = rows([[example(30, 0)]], 30, 1)
  other = dict(batch)
  other["tokens_BS"] = batch["tokens_BS"].copy()
  other["tokens_BS"][0, 15] = 77
  run = jax.jit(functools.partial(hidden, config, params))
  changed_S = np.abs(run(batch) - run(other))[0].max(axis=-1) > 0
  reach = 2 * config.attention_window // 2
  np.testing.assert_array_equal(
    np.flatnonzero(changed_S), np.arange(15 - reach, 15 + reach + 1)
  )


def test_every_kth_layer_sees_everything():
  config = dataclasses.replace(CONFIGS["modernbert"], attention_window=2)
  run = lambda config: jax.jit(
    functools.partial(hidden, config, params_of("modernbert"))
  )(ALONE)
  full = dataclasses.replace(
    config,
    attention_pattern="full",
    attention_window=128,
    rotary_local_base=0.0,
  )
  wide = dataclasses.replace(config, attention_window=64, rotary_local_base=0.0)
  np.testing.assert_allclose(run(wide), run(full), atol=1e-5)
  assert np.abs(run(config) - run(full)).max() > 0.01


def test_types_are_not_read_where_there_are_fewer_than_two():
  for name in ("roberta", "distilbert"):
    run = jax.jit(functools.partial(hidden, CONFIGS[name], params_of(name)))
    other = ALONE | {"types_BS": 5 - ALONE["types_BS"]}
    np.testing.assert_array_equal(run(ALONE), run(other))
