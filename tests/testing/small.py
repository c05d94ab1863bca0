# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle with random weights, and a task that it can learn in a moment.

For commands that read a tokenizer: its vocabulary is words. Models without
text are `examples.SMALL` and `tiny.CONFIG`.
"""

import functools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.checkpoints import bundle
from bertjax.config import ModelConfig
from bertjax.model import BertForPreTraining

WORDS = {
  "fish": ("cod", "eel", "pike", "trout"),
  "tree": ("ash", "elm", "fir", "oak"),
}
TOKENS = (
  *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"),
  *("a", "the", "by", "river", "hill", "and", ".", "##s"),
  *(word for words in WORDS.values() for word in words),
)
MODEL = ModelConfig(
  num_layers=2,
  hidden_size=32,
  num_heads=2,
  intermediate_size=64,
  vocab_size=32,  # more than there are tokens
  max_positions=16,
)


def make_tokenizer(folder):
  folder.mkdir(parents=True)
  (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
  return folder


def make_bundle(folder, *, seed=0, pooler_trained=True, findings=None):
  """Write a bundle of fresh weights; return its path."""
  bundle.write_bundle(
    folder,
    _make_params(seed),
    MODEL,
    make_tokenizer(folder.with_name(folder.name + "-tokenizer")),
    bundle.Details(pooler_trained=pooler_trained, step=0, findings=findings),
  )
  return str(folder)


@functools.cache
def _make_params(seed):
  model = BertForPreTraining(MODEL)
  features = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 8, "R": 1})

  def init(key):
    slots_BP = jnp.zeros((1, 1), jnp.int32)
    made = model.init(key, features, slots_BP, deterministic=True)
    return nn.meta.unbox(made["params"])

  return jax.jit(init)(jax.random.key(seed))


def make_texts(count, seed):
  """Pairs of text and label; one word of the text tells the label."""
  generator = np.random.default_rng(seed)
  rows = []
  for number in range(count):
    label = ("fish", "tree")[number % 2]
    word = generator.choice(WORDS[label])
    place = generator.choice(["river", "hill"])
    rows.append((f"the {word} and a {word}s by the {place}.", label))
  return rows


def write_table(path, rows):
  path.write_text(
    "".join(json.dumps({"text": t, "label": c}) + "\n" for t, c in rows)
  )
  return str(path)


def write_scores(path, count=40):
  """Write a table whose labels are numbers with a fraction; return its path."""
  values = ("0.250", "3.333", "4.800", "5.000")
  texts = [f"{one} {two}" for one in TOKENS[8:14] for two in TOKENS[14:]]
  rows = (f"{texts[i]},{values[i % 4]}\n" for i in range(count))
  path.write_text("text,label\n" + "".join(rows))
  return str(path)
