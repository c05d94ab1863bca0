# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The choices of a row of a table, and rows of the encoder for them."""

from collections.abc import Sequence

import numpy as np

from bertjax.files import describe_json
from data_pipelines.tasks.features import (
  EncodedTexts,
  Tokenizer,
  encode_texts,
)
from data_pipelines.tasks.table_files import BadRow, Row


def split_names(columns: str) -> tuple[str, ...]:
  """Return the names of columns that have commas between them; () for none."""
  names = tuple(name.strip() for name in columns.split(","))
  return names if all(names) else ()


def list_choices(row: Row, names: Sequence[str]) -> tuple[str, ...] | BadRow:
  """Return the choices of a row, and "" for each that the row lacks.

  Args:
    row: the row.
    names: the columns of the choices, or the column of a list.
  """
  values = [row.fields.get(name) for name in names]
  if len(names) == 1 and isinstance(values[0], list):
    values = values[0]
  for value in values:
    if value is not None and not isinstance(value, str):
      return BadRow(
        row.line, f"has {describe_json(value)} for a text; give a string"
      )
  return tuple(str(value or "") for value in values)


def given_choices(choices: Sequence[str]) -> list[int]:
  """Return the numbers of the choices that have a text."""
  return [number for number, choice in enumerate(choices) if choice.strip()]


def join_start(start: str, choices: Sequence[str]) -> tuple[str, ...]:
  """Return choices after what all of them begin with, such as SWAG's `sent2`.

  Args:
    start: the beginning; "" for none.
    choices: the choices.
  """
  return tuple(f"{start} {choice}".strip() for choice in choices)


def encode_choices(
  tokenizer: Tokenizer,
  contexts: Sequence[str],
  choices: Sequence[Sequence[str]],
  seq_length: int,
) -> EncodedTexts:
  """Encode each choice as a row: its context, and the choice as a pair.

  Args:
    tokenizer: encodes texts.
    contexts: the context of each example.
    choices: the choices of each example, all of which have a text.
    seq_length: tokens of a row.

  Returns:
    The rows, whose `owner_N` is their example. Examples with a choice that is
    cut are counted, and so are those with a choice that has no token.
  """
  count_E = np.asarray([len(each) for each in choices], np.int64)
  return encode_texts(
    tokenizer,
    [
      context
      for context, each in zip(contexts, choices, strict=True)
      for _ in each
    ],
    [choice for each in choices for choice in each],
    seq_length,
    example_N=np.repeat(np.arange(len(count_E)), count_E),
  )
