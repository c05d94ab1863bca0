# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run starts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.checkpoints import bundle
from bertjax.checkpoints.bundle import load_params, read_pretrained
from bertjax.config import FinetuneConfig
from bertjax.finetune import regression
from bertjax.finetune.classification import TASK
from bertjax.finetune.programs import make_programs
from bertjax.finetune.splits import split_outputs
from bertjax.finetune.start import make_start, with_first_bias
from bertjax.finetune.trial import run_trial
from bertjax.model.parameters import by_name
from bertjax.parallel.mesh import make_mesh
from tests.testing import small
from tests.testing.choices import CONFIGS
from tests.testing.examples import init_params
from tests.testing.trials import CONFIG as FINETUNE
from tests.testing.trials import make_inputs

CONFIG = FinetuneConfig(steps=40, batch_size=8, seq_length=12)
BIAS = "classifier/dense/bias"


def starting_params(path, seed, pooling="cls"):
  info = read_pretrained(path)
  config = dataclasses.replace(CONFIG, pooling=pooling)
  programs = make_programs(
    TASK, 2, info.model, config, 40, make_mesh(config.mesh, jax.devices()[:1])
  )
  made = by_name(programs.initialize(seed).params)
  start = make_start(programs, info)
  started = by_name(start(seed).params)
  assert by_name(start(seed).params).keys() == started.keys()
  return by_name(load_params(info)), made, started


def same(left, right):
  return left.shape == right.shape and bool((left == right).all())


def test_a_run_starts_from_the_bundles_weights(tmp_path):
  path = small.make_bundle(tmp_path / "bundle")
  source, made, started = starting_params(path, 5)
  for name, leaf in started.items():
    taken = not name.startswith("classifier/")
    assert same(leaf, source[name] if taken else made[name]), name


def test_a_pooler_that_was_not_trained_is_made_anew(tmp_path):
  path = small.make_bundle(tmp_path / "off", seed=1, pooler_trained=False)
  source, made, started = starting_params(path, 5)
  for name, leaf in started.items():
    taken = name.startswith("encoder/")
    assert same(leaf, source[name] if taken else made[name]), name
  assert any(name.startswith("pooler/") for name in started)


def test_scores_start_at_the_mean_of_training():
  values_N = np.asarray([2.0, 3.0, 4.5], np.float32)
  inputs = make_inputs(FINETUNE, task=regression.TASK, values=values_N)
  begun = with_first_bias(inputs.start, (3.25,))(0)
  plain = inputs.start(0)
  assert by_name(begun.params)[BIAS].tolist() == [3.25]
  outputs, shifted = (
    split_outputs(inputs.programs, state.params, inputs.dev)["logits_NC"]
    for state in (plain, begun)
  )
  np.testing.assert_allclose(shifted, outputs + 3.25, rtol=1e-5)
  assert shifted.mean() == pytest.approx(3.25, abs=0.3)
  # Nothing else begins otherwise, and the step takes such a state.
  for name, leaf in by_name(plain.params).items():
    if name != BIAS:
      assert same(leaf, by_name(begun.params)[name]), name
  old, new = (by_name(each.params)[BIAS] for each in (plain, begun))
  assert (new.dtype, new.sharding) == (old.dtype, old.sharding)


def test_few_steps_find_the_scale_of_scores():
  values_N = np.asarray([2.0, 3.0, 4.5], np.float32)
  config = dataclasses.replace(FINETUNE, metric="pearson")
  inputs = make_inputs(config, task=regression.TASK, values=values_N)
  losses = {}
  for bias in ((), (float(values_N.mean()),)):
    begun = dataclasses.replace(
      inputs, start=with_first_bias(inputs.start, bias)
    )
    result = run_trial(begun, config, learning_rate=1e-3, seed=0).result
    losses[bool(bias)] = result.dev["loss"]
  assert losses[True] < losses[False] / 4


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
  "name", ["modernbert", pytest.param("albert", marks=pytest.mark.full)]
)
def test_encoders_of_other_families_start_with_their_weights(
  tmp_path, name, pooling
):
  """Also where pre-training has no pooler, which is then made with the head.

  ModernBERT's stands on the mean as well.
  """
  config = CONFIGS[name]
  path = tmp_path / "bundle"
  bundle.write_bundle(
    path,
    jax.tree.map(jnp.asarray, init_params(config)),
    config,
    small.make_tokenizer(tmp_path / "tokenizer"),
    bundle.Details(pooler_trained=config.pooler),
  )
  source, made, started = starting_params(str(path), 5, pooling)
  assert any(name.startswith("pooler/") for name in started) == (
    pooling == "cls" or name == "modernbert"
  )
  for leaf, value in started.items():
    assert leaf in source or not leaf.startswith("encoder/"), leaf
    assert same(value, source.get(leaf, made[leaf])), leaf
