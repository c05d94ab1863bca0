# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of the batches that trials are trained on."""

import dataclasses

import jax
import numpy as np

from bertjax.config import FinetuneConfig, ModelConfig
from bertjax.finetune.training_batches import training_batches
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks.batches import TaskBatches
from data_pipelines.tasks.classification import make_targets
from data_pipelines.tasks.features import encode_texts
from tests.testing.examples import SMALL
from tests.testing.number_tokenizer import NumberTokenizer

STEPS = 200


def test_the_first_batch_is_the_largest_and_a_large_model_has_smaller_ones():
  texts = [" ".join(["7"] * (1 + i % 12)) for i in range(60)]
  rows = encode_texts(NumberTokenizer(), texts, None, 16).features
  data = TaskBatches(rows, make_targets(np.arange(60)), pack=True)
  config = dataclasses.replace(FinetuneConfig(), batch_size=12)
  mesh = make_mesh(config.mesh, jax.devices()[:1])
  batches = training_batches(data, ModelConfig(), config, STEPS, mesh)
  small = training_batches(data, SMALL, config, STEPS, mesh)
  assert len({len(small(0, step)["packs_BS"]) for step in range(STEPS)}) == 1
  rows = np.array([len(batches(0, step)["packs_BS"]) for step in range(STEPS)])
  assert rows[0] == rows.max()
  assert rows[1:].mean() < rows[0] - 0.5
  assert len(set(rows.tolist())) <= 4
  # Other steps, other shapes; the windows of a batch are the same.
  assert all(
    np.array_equal(
      np.sort(batches(0, step)["label_BR"][batches(0, step)["weight_BR"] > 0]),
      np.sort(
        data.training(seed=0, step=step, batch_size=12)["label_BR"].ravel()
      ),
    )
    for step in (0, 1, 7)
  )
