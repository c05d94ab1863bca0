# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run starts."""

import dataclasses

import jax

from bertjax.checkpoints.bundle import load_params, read_pretrained
from bertjax.config import FinetuneConfig
from bertjax.finetune.classification import TASK
from bertjax.finetune.programs import make_programs
from bertjax.finetune.start import make_start
from bertjax.model.parameters import by_name
from bertjax.parallel.mesh import make_mesh
from tests.testing import small

CONFIG = FinetuneConfig(steps=40, batch_size=8, seq_length=12)


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
