# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a model beyond the types of its fields."""

from bertjax.config import ModelConfig, check_read, check_types
from bertjax.config.model import has_windows
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
    ValueError: sizes that do not fit each other, the rows or the vocabulary,
      or choices that exclude each other.
  """
  check_types(model, "model.")
  check_read(model, prefix="model.")
  _check_heads(model)
  _check_windows(model)
  _check_groups(model)
  if seq_length > model.max_positions:
    where = "the position table"
    if model.positions != "learned":
      where = f"the positions of this encoder, which are {model.positions}"
    raise ValueError(
      f"{names.seq_length}={seq_length} is beyond {where}; give at most "
      f"model.max_positions={model.max_positions}, or raise that"
    )
  if vocab_size > model.vocab_size:
    raise ValueError(
      f"model.vocab_size={model.vocab_size} is smaller than the store's "
      f"vocabulary of {vocab_size}; give at least that, or 0 to follow the "
      "store"
    )


def _check_heads(model: ModelConfig) -> None:
  if model.hidden_size % model.num_heads:
    raise ValueError(
      f"model.num_heads={model.num_heads} does not divide "
      f"model.hidden_size={model.hidden_size}; give a divisor of it"
    )
  if model.positions == "rotary" and model.head_size % 2:
    raise ValueError(
      "model.positions=rotary turns pairs of columns, and model.hidden_size / "
      f"model.num_heads = {model.head_size}; give another model.num_heads, "
      "such that heads have an even width"
    )


def _check_windows(model: ModelConfig) -> None:
  if not has_windows(model):
    return
  window = model.attention_window
  if window < 2 or window % 2:
    raise ValueError(
      f"model.attention_window={window}; a window has half of its positions on "
      "either side: give an even number from 2, such as 128, or "
      "model.attention_pattern=full"
    )
  if model.global_every == 1:
    raise ValueError(
      "model.global_every=1 leaves no layer with a window; give 2 or more, or "
      "model.attention_pattern=full"
    )
  if 0 < model.rotary_local_base <= 1:
    raise ValueError(
      f"model.rotary_local_base={model.rotary_local_base}; give more than 1, "
      f"or 0 for that of model.rotary_base={model.rotary_base}"
    )


def _check_groups(model: ModelConfig) -> None:
  groups = model.layer_groups
  if not groups:
    return
  if model.num_layers % groups:
    raise ValueError(
      f"model.layer_groups={groups} does not divide model.num_layers="
      f"{model.num_layers}; give a divisor of it, or 0 to share no weights"
    )
  for name, usual in (
    ("attention_pattern", "full"),
    ("first_attention_norm", True),
  ):
    value = getattr(model, name)
    if value != usual:
      raise ValueError(
        f"model.{name}={value} makes layers differ, and model.layer_groups="
        f"{groups} makes them the same; give model.{name}={usual}, or "
        "model.layer_groups=0"
      )


def check_pairs(
  model: ModelConfig, pairs: str, *, between: int, second_type: int, fix: str
) -> None:
  """Refuse pairs of texts that nothing tells apart.

  RoBERTa, DistilBERT and ModernBERT have no types, or one: special tokens
  between the texts do.

  Args:
    model: which has types or not.
    pairs: what makes the pairs, for the message.
    between: number of special tokens that the tokenizer puts between texts.
    second_type: type that it gives to the second text.
    fix: what makes no pairs, for the message.

  Raises:
    ValueError: neither special tokens nor types tell the texts apart.
  """
  if between or (second_type and model.type_vocab_size > 1):
    return
  types = f"model.type_vocab_size={model.type_vocab_size}"
  if model.type_vocab_size > 1:
    types += " and a tokenizer that gives both the type 0"
  raise ValueError(
    f"{pairs} makes pairs of texts, which nothing tells apart with {types}, "
    f"and no special token between them; give {fix}, or a tokenizer that "
    "separates texts, as [CLS] A [SEP] B [SEP]"
  )


def padded_vocab_size(vocab_size: int) -> int:
  """Return the rows of an embedding table for a vocabulary of this size.

  A multiple of 128: matrix units work in tiles, and ragged ones cost more.
  """
  return -(-vocab_size // 128) * 128
