# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The choices of a row of a table, and rows of the encoder for them."""

from collections.abc import Sequence

import numpy as np

from bertjax.batch import Batch
from bertjax.config import TaskConfig
from bertjax.files import describe_json
from data_pipelines.tasks.features import (
  EncodedTexts,
  Tokenizer,
  encode_texts,
)
from data_pipelines.tasks.packing import MAX_PACKS
from data_pipelines.tasks.table_files import BadRow, Row


def split_names(columns: str) -> tuple[str, ...]:
  """Return the names of columns that have commas between them; () for none."""
  names = tuple(name.strip() for name in columns.split(","))
  return names if all(names) else ()


def choice_names(config: TaskConfig) -> tuple[str, ...]:
  """Return the columns of the choices that a config names.

  Raises:
    ValueError: it names none, or more than an example may have.
  """
  names = split_names(config.choices)
  if not names:
    raise ValueError(
      f"task.choices={config.choices!r}; give the columns of the choices, as "
      "ending0,ending1,ending2,ending3, or the column of a list"
    )
  if len(names) > config.num_choices:
    raise ValueError(
      f"task.choices names {len(names)} columns, and task.num_choices is "
      f"{config.num_choices}; give --config.task.num_choices={len(names)}"
    )
  return names


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
  stride: int = 0,
) -> EncodedTexts:
  """Encode each choice as a row: its context, and the choice as a pair.

  With a `stride`, a choice that is too long for a row with its context has
  several, as `encode_texts` divides a pair.

  Args:
    tokenizer: encodes texts.
    contexts: the context of each example.
    choices: the choices of each example, all of which have a text.
    seq_length: tokens of a row.
    stride: tokens from the start of a window to that of the next one; 0 cuts
      what is too long.

  Returns:
    The rows, whose `owner_N` is their example and `text_N` their choice.
    Examples with a choice that is cut are counted, and so are those with a
    choice that has no token.
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
    stride,
    example_N=np.repeat(np.arange(len(count_E)), count_E),
  )


def mark_first(encoded: EncodedTexts) -> np.ndarray:
  """Return `first_BR` of the target record, int32 with R = 1.

  It is 1 for the first window of an example, 0 for that of another choice, and
  −1 for a further window of a choice.

  Args:
    encoded: as `encode_choices` returns it.
  """
  begins_N = np.diff(encoded.text_N, prepend=-1) > 0
  is_first_N = np.diff(encoded.owner_N, prepend=-1) > 0
  first_N = is_first_N.astype(np.int32) + begins_N - 1
  return first_N[:, None].astype(np.int32)


def make_targets(encoded: EncodedTexts, right_E: Sequence[int]) -> Batch:
  """Return the target record of windows of examples with a right choice.

  Args:
    encoded: as `encode_choices` returns it.
    right_E: number of the right choice of each example.
  """
  first_BR = mark_first(encoded)
  first_N = first_BR[:, 0]
  right_text_E = encoded.text_N[first_N == 1] + np.asarray(right_E)
  is_right_N = encoded.text_N == right_text_E[encoded.owner_N]
  label_N = (is_right_N & (first_N >= 0)).astype(np.float32)
  return {
    "label_BR": label_N[:, None],
    "first_BR": first_BR,
    "weight_BR": np.ones((len(first_N), 1), np.float32),
  }


def most_together(
  owner_N: np.ndarray, num_choices: int, places: Sequence[str]
) -> int:
  """Return the most windows of an example, all of which stand in one row.

  Args:
    owner_N: the example of each window.
    num_choices: the most choices of an example.
    places: path and line of each example; empty where windows stand in one row
      only if no choice has several. Otherwise 0 is returned then.

  Raises:
    ValueError: an example has more windows than a row may have.
  """
  count_E = np.bincount(owner_N)
  most = int(count_E.max(initial=0))
  if most <= num_choices:
    return num_choices
  if not places:
    return 0
  if most > MAX_PACKS:
    raise ValueError(
      f"{places[int(count_E.argmax())]}: the choices have {most} windows, and "
      f"{MAX_PACKS} at most are trained together; give a larger "
      "--config.seq_length or --config.task.stride, or "
      "--config.task.long_texts=cut"
    )
  return most
