# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Initial weights of ModernBERT: spread as transformers' are."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import pytest

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.model import BertForPreTraining, BertForSequenceClassification
from bertjax.model.parameters import by_name, find
from tests.testing.choices import CONFIGS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from tests.testing import families  # noqa: E402

# Leaves that are large enough for a standard deviation within 2 %.
CONFIG = dataclasses.replace(
  CONFIGS["modernbert"],
  num_layers=3,
  hidden_size=160,
  num_heads=4,
  intermediate_size=192,
  vocab_size=500,
  initializer_std=0.03,
)
CLASSES = 96


def make_ours(model, *inputs):
  batch = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 4, "R": 1})
  init = jax.jit(
    lambda key: nn.unbox(model.init(key, batch, *inputs, deterministic=True))
  )
  return by_name(init(jax.random.key(0))["params"])


def settings_of_theirs():
  settings = families.FAMILIES["modernbert"].make(CONFIG)
  settings.initializer_range = CONFIG.initializer_std
  settings.num_labels = CLASSES
  return settings


def test_modernbert_starts_with_the_spread_of_its_authors():
  """Each layer's kernels, the table, the heads of words and of classes."""
  settings = settings_of_theirs()
  torch.manual_seed(0)
  masked = transformers.ModernBertForMaskedLM(settings)
  state = {key: value.numpy() for key, value in masked.state_dict().items()}
  theirs = by_name(families.to_ours(CONFIG, state, 1.0))
  sequence = transformers.ModernBertForSequenceClassification(settings)
  theirs["pooler/dense/kernel"] = sequence.head.dense.weight.detach().numpy()
  theirs["classifier/dense/kernel"] = (
    sequence.classifier.weight.detach().numpy()
  )
  made = make_ours(BertForPreTraining(CONFIG), np.zeros((1, 1), np.int32))
  made |= make_ours(BertForSequenceClassification(CONFIG, num_classes=CLASSES))
  compared = 0
  for name, leaf in theirs.items():
    if leaf.ndim == 1 or "norm" in name:
      np.testing.assert_array_equal(made[name], leaf, name)
      continue
    stacked = find(name).is_stacked
    for ours, other in zip(
      *((made[name], leaf) if stacked else ([made[name]], [leaf])), strict=True
    ):
      left, right = np.std(ours), np.std(other)
      assert left == pytest.approx(right, rel=0.03), name
      # Both are cut at two standard deviations.
      assert np.abs(ours).max() == pytest.approx(np.abs(other).max(), rel=0.03)
      compared += 1
  assert compared == 3 * 7 + 1 + 3


def test_berts_weights_all_start_alike():
  config = dataclasses.replace(CONFIG, init="bert")
  made = make_ours(BertForSequenceClassification(config, num_classes=CLASSES))
  stds = [np.std(leaf) for name, leaf in made.items() if "kernel" in name]
  np.testing.assert_allclose(stds, 0.88 * config.initializer_std, rtol=0.03)
