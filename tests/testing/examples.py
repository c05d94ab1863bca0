# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Small examples, alone or packed, and a model small enough to compile.

For the model itself and what is compared with PyTorch: rows are made of single
examples, and `SMALL` has dropout. Training steps use `tiny`.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import numpy as np

from bertjax.batch import PRETRAINING_FEATURES, Vocabulary, empty_batch
from bertjax.config import ModelConfig
from bertjax.model import BertForPreTraining

SMALL = ModelConfig(
  num_layers=2,
  hidden_size=32,
  num_heads=4,
  intermediate_size=64,
  vocab_size=120,
  max_positions=64,
)
PAD, UNK, CLS, SEP, MASK = range(5)
SPECIALS = 5


def vocabulary(size=SMALL.vocab_size):
  special_V = np.arange(size) < SPECIALS
  counts_V = np.arange(size) % 7 + 1.0
  return Vocabulary(
    pad_id=PAD,
    unk_id=UNK,
    cls_id=CLS,
    sep_id=SEP,
    mask_id=MASK,
    special_V=special_V,
    continues_V=np.zeros(size, bool),
    ordinary_W=np.arange(SPECIALS, size).astype(np.int32),
    log_unigram_V=np.log(counts_V / counts_V.sum()).astype(np.float32),
  )


@dataclasses.dataclass(frozen=True)
class Example:
  """[CLS] A [SEP] B [SEP], its pair label and its masking key."""

  tokens: np.ndarray
  types: np.ndarray
  label: int
  key: np.ndarray


def example(length, seed, vocab_size=SMALL.vocab_size):
  """An example of `length` tokens, at least 5, specials included."""
  draw = np.random.default_rng([length, seed])
  first = int(draw.integers(1, length - 3))
  body = draw.integers(SPECIALS, vocab_size, length)
  tokens = body.astype(np.int32)
  tokens[[0, first + 1, length - 1]] = CLS, SEP, SEP
  return Example(
    tokens=tokens,
    types=(np.arange(length) > first + 1).astype(np.int32),
    label=int(draw.integers(0, 2)),
    key=draw.integers(0, 2**32, 2, dtype=np.uint32),
  )


def rows(packs, seq_length, max_packs):
  """Batch with one row for each list of examples in `packs`."""
  sizes = {"B": len(packs), "S": seq_length, "R": max_packs}
  batch = empty_batch(PRETRAINING_FEATURES, sizes)
  for b, examples in enumerate(packs):
    start = 0
    for r, one in enumerate(examples):
      span = slice(start, start + len(one.tokens))
      batch["tokens_BS"][b, span] = one.tokens
      batch["types_BS"][b, span] = one.types
      batch["positions_BS"][b, span] = np.arange(len(one.tokens))
      batch["packs_BS"][b, span] = r + 1
      batch["starts_BR"][b, r] = start
      batch["pair_label_BR"][b, r] = one.label
      batch["key_BR2"][b, r] = one.key
      start = span.stop
  return batch


def ragged(count, seq_length, seed=0):
  """`count` unpacked rows of differing lengths."""
  lengths = np.random.default_rng(seed).integers(5, seq_length + 1, count)
  return rows([[example(int(n), seed)] for n in lengths], seq_length, 1)


def init_params(config=SMALL, seed=0, scale=3.0):
  """Parameters with no zeros in them: biases and scales are perturbed.

  `scale` enlarges the kernels, so that attention is not nearly uniform. They
  are drawn by numpy, for which nothing is compiled.
  """
  batch = rows([[example(8, 0)]], 8, 1)
  positions_BP = np.zeros((1, 2), np.int32)
  init = functools.partial(BertForPreTraining(config).init, deterministic=True)
  shapes = jax.eval_shape(init, jax.random.key(seed), batch, positions_BP)
  draw = np.random.default_rng(seed)

  def make(path, leaf):
    if path[-1].key in ("bias", "scale"):
      mean = float(path[-1].key == "scale")
    else:
      deviation = scale * config.initializer_std
      mean = deviation * draw.standard_normal(leaf.shape)
    made = mean + 0.1 * draw.standard_normal(leaf.shape)
    return made.astype(np.float32)

  return jax.tree.map_with_path(make, nn.unbox(shapes)["params"])


def assert_close(got, expected, tolerance=1e-6):
  """Each leaf within `tolerance` of its largest entry, or of 1."""
  for (path, left), right in zip(
    jax.tree.leaves_with_path(got), jax.tree.leaves(expected), strict=True
  ):
    scale = max(float(np.abs(right).max()), 1.0)
    difference = np.abs(np.asarray(left) - np.asarray(right)).max()
    assert difference <= tolerance * scale, jax.tree_util.keystr(path)


def equations(jaxpr):
  """Every equation of a jaxpr and of the jaxprs inside it."""
  for equation in jaxpr.eqns:
    yield equation
    for value in jax.tree.leaves(list(equation.params.values())):
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        yield from equations(inner)


def uneven_rows(length, vocab_size):
  """Return a batch of an example a row, the first of which is full."""
  examples = [example(n, 1, vocab_size) for n in (length, 7, 15, 20)]
  return rows([[one] for one in examples], length, 1)
