# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a model beyond the types of its fields."""

from bertjax.config import ModelConfig, check_types
from bertjax.config.names import PRETRAINING, FieldNames


def check_model(
  model: ModelConfig,
  *,
  seq_length: int,
  vocab_size: int,
  names: FieldNames = PRETRAINING,
) -> None:
  """Check a model against the rows that it is to read.

  Args:
    model: with its vocabulary filled in.
    seq_length: positions of a row.
    vocab_size: tokens of the store's vocabulary.
    names: names of the fields in messages.

  Raises:
    ValueError: sizes that do not fit each other, the rows or the vocabulary.
  """
  check_types(model, "model.")
  if model.hidden_size % model.num_heads:
    raise ValueError(
      f"model.num_heads={model.num_heads} does not divide "
      f"model.hidden_size={model.hidden_size}; give a divisor of it"
    )
  if seq_length > model.max_positions:
    raise ValueError(
      f"{names.seq_length}={seq_length} is beyond the position table; give "
      f"at most model.max_positions={model.max_positions}, or raise that"
    )
  if vocab_size > model.vocab_size:
    raise ValueError(
      f"model.vocab_size={model.vocab_size} is smaller than the store's "
      f"vocabulary of {vocab_size}; give at least that, or 0 to follow the "
      "store"
    )


def padded_vocab_size(vocab_size: int) -> int:
  """Return the rows of an embedding table for a vocabulary of this size.

  A multiple of 128: matrix units work in tiles, and ragged ones cost more.
  """
  return -(-vocab_size // 128) * 128
