# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a model and of how it is computed."""

from bertjax.config import ComputeConfig, ModelConfig, to_mapping
from bertjax.config.checks.ranges import at_least, one_of

ACTIVATIONS = ("gelu", "gelu_tanh")
POSITION_INITS = ("normal", "sinusoid")
DTYPES = ("float32", "bfloat16")
ATTENTIONS = ("auto", "xla", "splash", "cudnn")
REMATS = ("none", "attention", "dots", "full")
DROPOUT_RNGS = ("threefry", "rbg")


def check_model(
  model: ModelConfig, *, seq_length: int, vocab_size: int
) -> None:
  """Check a model against the rows that it is to read.

  Raises:
    ValueError: sizes that do not fit each other, the rows or the vocabulary.
  """
  for name in (
    "num_layers",
    "hidden_size",
    "num_heads",
    "intermediate_size",
    "max_positions",
    "type_vocab_size",
  ):
    at_least(1, f"model.{name}", to_mapping(model)[name])
  if model.hidden_size % model.num_heads:
    raise ValueError(
      f"model.num_heads={model.num_heads} does not divide "
      f"model.hidden_size={model.hidden_size}; give a divisor of it"
    )
  if seq_length > model.max_positions:
    raise ValueError(
      f"data.seq_length={seq_length} is beyond the position table; give at "
      f"most model.max_positions={model.max_positions}, or raise that"
    )
  if vocab_size > model.vocab_size:
    raise ValueError(
      f"model.vocab_size={model.vocab_size} is smaller than the store's "
      f"vocabulary of {vocab_size}; give at least that, or 0 to follow the "
      "store"
    )
  one_of(ACTIVATIONS, "model.activation", model.activation)
  one_of(POSITION_INITS, "model.position_init", model.position_init)
  for name in ("hidden_dropout_rate", "attention_dropout_rate"):
    rate = to_mapping(model)[name]
    if not 0.0 <= rate < 1.0:
      raise ValueError(f"model.{name}={rate}; give 0 or more, and less than 1")


def check_compute(compute: ComputeConfig) -> None:
  """Check how a step is computed.

  Raises:
    ValueError: an unknown name.
  """
  one_of(DTYPES, "compute.dtype", compute.dtype)
  one_of(ATTENTIONS, "compute.attention", compute.attention)
  one_of(REMATS, "compute.remat", compute.remat)
  one_of(DROPOUT_RNGS, "compute.dropout_rng", compute.dropout_rng)
  at_least(1, "compute.unroll", compute.unroll)


def padded_vocab_size(vocab_size: int) -> int:
  """Return the rows of an embedding table for so many pieces.

  A multiple of 128: matrix units work in tiles, and ragged ones cost more.
  """
  return -(-vocab_size // 128) * 128
