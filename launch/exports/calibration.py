# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Texts on which a quantized graph is calibrated and measured."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Self

import numpy as np

from bertjax.batch import Batch
from bertjax.finetune.task import Head
from data_pipelines.tasks.features import encode_texts
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import Rules, read_table
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch.exports.formats import Options
from launch.exports.onnx_scores import Labeled
from launch.inference.input_flags import COLUMN_FLAGS


@dataclasses.dataclass(frozen=True)
class Texts:
  """Texts as the encoder reads them.

  Attributes:
    rows: `ENCODER_FEATURES` of each text alone, without padding, or only what
      rows of one text need.
    total: number of texts of the table.
    cut: how many of these texts lost tokens at their end.
    labeled: what is wanted of the texts; None if that is not known. A text may
      have several rows then: its windows, or its choices.
  """

  rows: Sequence[Batch]
  total: int
  cut: int
  labeled: Labeled | None = None

  def __len__(self) -> int:
    """Return the number of texts."""
    return len(self.rows)

  def take(self, indices: np.ndarray) -> Self:
    """Return some of the texts."""
    labeled = self.labeled and self.labeled.take(indices)
    rows = [self.rows[index] for index in indices]
    return dataclasses.replace(self, rows=rows, labeled=labeled)

  def spread(self, count: int) -> np.ndarray:
    """Return the indices of at most `count` texts, evenly over the table."""
    count = min(count, len(self))
    return np.arange(count) * len(self) // max(count, 1)


def read_texts(
  options: Options, head: Head | None, tokenizer: Tokenizer, longest: int
) -> Texts:
  """Read the texts of the table that `options.calibration` names.

  Args:
    options: the table and its columns.
    head: head of the model; None for a pre-trained one.
    tokenizer: tokenizer of the model.
    longest: tokens to which a text is cut.

  Raises:
    ValueError: the table cannot be read, or has pairs for a model of single
      texts or the other way around.
  """
  path = options.calibration or ""
  reads_pairs = head is not None and head.pair
  if reads_pairs != (options.text_pair_column is not None):
    fix = "give" if reads_pairs else "leave out"
    raise ValueError(
      f"the model reads {'pairs of ' if reads_pairs else 'single '}texts; "
      f"{fix} --text_pair_column"
    )
  table = read_table(
    path,
    Columns(
      options.text_column or "text",
      "",
      options.text_pair_column or "",
      flags=COLUMN_FLAGS,
    ),
    Rules(
      unlabeled="",
      needs_labels=False,
      bad_row_fix="give --calibration a table without such rows",
    ),
  )
  encoded = encode_texts(tokenizer, table.texts, table.pairs, longest)
  if encoded.cut:
    logging.warning(
      "%s: %d of %d texts are cut to %d tokens",
      path,
      encoded.cut,
      len(table.texts),
      longest,
    )
  return Texts(
    rows=[alone(encoded.features, i) for i in range(len(table.texts))],
    total=len(table.texts),
    cut=encoded.cut,
  )


def alone(features: Batch, row: int) -> Batch:
  """Return one row of `ENCODER_FEATURES`, without its padding."""
  length = int((features["packs_BS"][row] > 0).sum())
  return {
    name: array[row : row + 1, : length if name.endswith("S") else None]
    for name, array in features.items()
  }
