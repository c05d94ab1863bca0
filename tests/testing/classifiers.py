# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuned classifiers of random weights that read the words of `small`."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from bertjax.model import BertForSequenceClassification
from tests.testing import small

LABELS = ("no", "yes", "perhaps")


def make_classifier(folder, *, pair=False, positions=16, pooling="cls", **head):
  """Write a classifier whose answers differ by text; return its path."""
  encoder = dataclasses.replace(small.MODEL, max_positions=positions)
  model = BertForSequenceClassification(
    encoder, num_classes=len(LABELS), pooling=pooling
  )
  features = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 8, "R": 1})
  init = jax.jit(lambda key: model.init(key, features, deterministic=True))
  params = nn.meta.unbox(init(jax.random.key(0)))["params"]
  draw = np.random.default_rng(0)
  params = jax.tree.map(
    lambda leaf: (
      np.asarray(leaf) * 3 + 0.1 * draw.standard_normal(leaf.shape)
    ).astype(np.float32),
    params,
  )
  save_finetuned(
    folder,
    params,
    encoder,
    small.make_tokenizer(folder.with_name(folder.name + "-tokenizer")),
    Head("t", LABELS, pooling, positions, pair=pair, **head),
  )
  return str(folder)


def random_texts(count, seed=0, longest=14):
  """Ragged texts of known words, with quotes and letters of the world."""
  draw = np.random.default_rng(seed)
  words = (*small.TOKENS[6:], "žluťoučký", '"cod"', "鱼", "a,b", "🐟")
  return [
    " ".join(draw.choice(words, draw.integers(1, longest)))
    for _ in range(count)
  ]
