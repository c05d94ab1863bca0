# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The stack: scanned, unrolled or recomputed, the same function."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig
from bertjax.model import BertForPreTraining
from bertjax.model.attention import layer_inputs
from bertjax.model.embeddings import Embeddings
from bertjax.model.encoder import Frozen, Layer
from bertjax.model.parameters import EMBEDDINGS, by_name, find
from tests.testing.examples import (
  SMALL,
  assert_close,
  equations,
  init_params,
  ragged,
)

BATCH = ragged(4, 16)
PARAMS = init_params()
NO_DROPOUT = dataclasses.replace(
  SMALL, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
)
# Weights that make a scalar of the states, 0 at padding.
MIX_BSD = np.where(
  BATCH["packs_BS"][..., None] > 0,
  np.random.default_rng(1).standard_normal((4, 16, 32)),
  0,
).astype(np.float32)
SEED = 3


def hidden(params, compute, config=SMALL, seed=None):
  hidden_BSD, _ = BertForPreTraining(config, compute).apply(
    {"params": params},
    BATCH,
    method="encode",
    deterministic=seed is None,
    rngs={} if seed is None else {"dropout": jax.random.key(seed)},
  )
  return hidden_BSD


def states_and_grad(compute, seed=None):
  """Return hidden states, and the gradients of a sum over them.

  The sum itself is not compared: its terms nearly cancel, so that its rounding
  is that of far larger numbers.
  """

  def loss(params):
    states_BSD = hidden(params, compute, seed=seed)
    return jnp.sum(states_BSD * MIX_BSD), states_BSD

  grads, states_BSD = jax.jit(jax.grad(loss, has_aux=True))(PARAMS)
  return states_BSD, grads


def test_the_scan_equals_a_loop_over_slices_of_its_parameters():
  """In states and in gradients."""
  embeddings = Embeddings(SMALL, ComputeConfig())
  layer = Layer(SMALL, ComputeConfig(), deterministic=True)

  def scan(encoder):
    return hidden({**PARAMS, "encoder": encoder}, ComputeConfig())

  def loop(encoder):
    state_BSD = embeddings.apply(
      {"params": encoder["embeddings"]}, BATCH, deterministic=True
    )
    for index in range(SMALL.num_layers):
      part = jax.tree.map(lambda leaf, i=index: leaf[i], encoder["layers"])
      state_BSD, _ = layer.apply(
        {"params": part},
        state_BSD,
        layer_inputs(jax.tree.map(jnp.asarray, BATCH), SMALL),
      )
    return state_BSD

  def weigh(run):
    def value(encoder):
      state_BSD = run(encoder)
      return jnp.sum(state_BSD * MIX_BSD), state_BSD

    return jax.jit(jax.value_and_grad(value, has_aux=True))

  encoder = PARAMS["encoder"]
  ((_, got), got_gradients), ((_, expected), gradients) = (
    weigh(run)(encoder) for run in (scan, loop)
  )
  assert_close(got, expected)
  assert_close(got_gradients, gradients)


def test_layers_differ():
  """The law above would hold of a stack that used its first layer twice."""
  swapped = jax.tree.map(lambda leaf: leaf, PARAMS)
  swapped["encoder"]["layers"] = jax.tree.map(
    lambda leaf: leaf[::-1], PARAMS["encoder"]["layers"]
  )
  run = jax.jit(lambda params: hidden(params, ComputeConfig()))
  change = run(swapped) - run(PARAMS)
  assert np.abs(change).max() > 0.01


@pytest.fixture(scope="module")
def plain():
  return states_and_grad(ComputeConfig(), SEED)


@pytest.mark.parametrize(
  "compute",
  [
    ComputeConfig(unroll=2),
    ComputeConfig(remat="attention"),
    ComputeConfig(remat="dots"),
    ComputeConfig(remat="full"),
  ],
  ids=lambda compute: f"unroll={compute.unroll},remat={compute.remat}",
)
def test_unrolling_and_remat_change_no_value_and_no_gradient(compute, plain):
  trace = lambda compute: str(
    jax.make_jaxpr(lambda params: hidden(params, compute, seed=SEED))(PARAMS)
  )
  assert trace(compute) != trace(ComputeConfig()), "the option does nothing"
  assert_close(states_and_grad(compute, SEED), plain)


def test_remat_recomputes_what_its_policy_says():
  """No product with a kernel is done twice under `dots`; all are in `full`."""
  counts = {}
  for remat in ("none", "attention", "dots", "full"):
    compute = ComputeConfig(remat=remat)
    trace = jax.make_jaxpr(
      jax.grad(lambda params, c=compute: hidden(params, c, seed=SEED).sum())
    )(PARAMS)
    names = [e.primitive.name for e in equations(trace.jaxpr)]
    counts[remat] = names.count("dot_general")
  # Scores, and no context, which is kept.
  assert counts["attention"] - counts["none"] == 1
  # Scores and context; or these and query, key, value, out, up (what down
  # gives is not needed).
  assert counts["dots"] - counts["none"] in {1, 2}
  assert counts["full"] - counts["dots"] >= 5


def test_remat_of_attention_keeps_nothing_for_pairs_of_positions():
  """And keeps all else, each once: as many arrays but for the weights."""
  kept = {}
  for remat in ("none", "attention"):
    run = functools.partial(
      hidden, compute=ComputeConfig(remat=remat), seed=SEED
    )
    back = jax.eval_shape(lambda run=run: jax.vjp(run, PARAMS)[1])
    kept[remat] = [leaf.shape for leaf in jax.tree.leaves(back)]
  rows, length = BATCH["packs_BS"].shape
  pairs = (SMALL.num_layers, rows, SMALL.num_heads, length, length)
  assert kept["none"].count(pairs) == 1
  assert kept["attention"].count(pairs) == 0
  context = (*pairs[:2], length, SMALL.num_heads, SMALL.head_size)
  assert kept["none"].count(context) == kept["attention"].count(context)


def test_layers_drop_different_units():
  """A key that were not split over the scan would repeat its masks."""
  trace = jax.make_jaxpr(
    lambda params: hidden(params, ComputeConfig(), seed=SEED)
  )(PARAMS)
  splits = [
    tuple(equation.outvars[0].aval.shape)
    for equation in equations(trace.jaxpr)
    if equation.primitive.name == "random_split"
  ]
  assert splits == [(SMALL.num_layers,)]


def test_dropout_of_rate_zero_is_the_deterministic_model():
  jaxprs = [
    str(
      jax.make_jaxpr(
        lambda params, seed=seed: hidden(
          params, ComputeConfig(), NO_DROPOUT, seed=seed
        )
      )(PARAMS)
    )
    for seed in (None, SEED)
  ]
  # The key is split for the scan, and then nobody draws from it.
  assert "random_bits" not in jaxprs[1]
  assert jaxprs[0].count("dot_general") == jaxprs[1].count("dot_general")


def compile_frozen(frozen):
  """The compiled value and gradients of an encoder with frozen layers."""

  def loss(params):
    hidden_BSD, _ = BertForPreTraining(SMALL, ComputeConfig(), frozen).apply(
      {"params": params}, BATCH, method="encode", deterministic=True
    )
    return jnp.sum(hidden_BSD * MIX_BSD)

  return jax.jit(jax.value_and_grad(loss)).lower(PARAMS).compile()


WHOLE = Frozen()
compiled = functools.cache(compile_frozen)


@pytest.mark.parametrize("layers", range(SMALL.num_layers + 1))
def test_gradients_are_zero_in_frozen_layers_and_the_same_above(layers):
  value, grads = compiled(WHOLE)(PARAMS)
  frozen_value, frozen_grads = compiled(Frozen(True, layers))(PARAMS)
  np.testing.assert_allclose(frozen_value, value, rtol=1e-5)
  frozen_grads = by_name(frozen_grads)
  all_grads = by_name(grads)
  for name, grad in all_grads.items():
    scale = float(jnp.max(jnp.abs(grad)))
    frozen = frozen_grads[name]
    if name.startswith(EMBEDDINGS):
      assert not frozen.any()
      continue
    if find(name).is_stacked:
      assert not frozen[:layers].any()
      frozen, grad = frozen[layers:], grad[layers:]
    if name.endswith("key/bias"):
      # Zero but for rounding: a constant on all scores changes no weight.
      scale = float(
        jnp.max(jnp.abs(all_grads[name[: -len("bias")] + "kernel"]))
      )
      np.testing.assert_allclose(frozen, 0, rtol=0, atol=1e-4 * scale)
      continue
    np.testing.assert_allclose(frozen, grad, rtol=0, atol=1e-4 * scale + 1e-7)


def test_frozen_layers_have_no_reverse_pass():
  flops = lambda program: program.cost_analysis()["flops"]
  frozen = compiled(Frozen(True, SMALL.num_layers))
  # The forward pass is a third of the whole.
  assert flops(frozen) < 0.45 * flops(compiled(WHOLE))


def test_frozen_layers_drop_out_as_others_do():
  model = BertForPreTraining(SMALL, ComputeConfig(), Frozen(True, 1))
  one, two, again = (
    model.apply(
      {"params": PARAMS},
      BATCH,
      method="encode",
      deterministic=False,
      rngs={"dropout": jax.random.key(seed)},
    )[0]
    for seed in (0, 1, 0)
  )
  assert (one != two).any()
  np.testing.assert_array_equal(one, again)
