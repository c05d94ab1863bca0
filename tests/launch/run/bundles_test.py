# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles that a run writes on its way."""

import dataclasses

import jax
import numpy as np
import pytest

from bertjax.checkpoints.bundle import load_params, read_bundle_info
from bertjax.config import CheckpointConfig, EvaluationConfig
from bertjax.train.program import sharing
from launch import pretrain
from launch.run.bundles import bundle_path, bundle_steps
from tests.testing import corpus


@pytest.mark.usefixtures("one_device")
def test_bundles_on_the_way_change_nothing_of_the_run(store, tmp_path):
  config = corpus.make_config(
    store,
    steps=4,
    checkpoint=CheckpointConfig(every_steps=2),
    evaluation=EvaluationConfig(every_steps=0, rows=8),
  )
  model = dataclasses.replace(config.model, num_layers=1)
  config = dataclasses.replace(config, model=model)
  checkpoint = dataclasses.replace(config.checkpoint, bundles_at=(0.25, 0.75))
  probed = dataclasses.replace(config, checkpoint=checkpoint)
  assert bundle_steps(probed) == {0.25: 1, 0.75: 3}
  with sharing():  # of compiled programs
    plain = pretrain.run(config, str(tmp_path / "plain"))
    found = pretrain.run(probed, str(tmp_path / "probed"))
  ours, theirs = (
    load_params(read_bundle_info(each.bundle)) for each in (plain, found)
  )
  jax.tree.map(np.testing.assert_array_equal, ours, theirs)
  for step in (1, 3):
    details = read_bundle_info(bundle_path(found.workdir, step)).details
    assert details.step == step
    assert details.evaluation["mlm_loss"] != found.validation["mlm_loss"]


def test_a_share_of_the_last_step_is_the_runs_own_bundle():
  config = corpus.make_config("", steps=3)
  checkpoint = CheckpointConfig(bundles_at=(0.01, 0.9, 0.5))
  config = dataclasses.replace(config, checkpoint=checkpoint)
  assert bundle_steps(config) == {0.01: 1, 0.5: 2}
