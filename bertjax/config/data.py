# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The prepared stores of a run, and how their text becomes rows."""

import dataclasses
from typing import Annotated, NamedTuple

from bertjax.config.fields import AtLeast


class Frame(NamedTuple):
  """How many special tokens stand around texts; the defaults are BERT's.

  Attributes:
    one: around one text.
    two: around and between two.
  """

  one: int = 2
  two: int = 3

  @property
  def shortest_example(self) -> int:
    """Tokens of an example with one token of text."""
    return self.one + 1

  @property
  def shortest_row(self) -> int:
    """Tokens of the shortest row: two texts of a few tokens together."""
    return self.two + 5


BERT_FRAME = Frame()
# Of a field alone; a tokenizer with more special tokens needs more.
MIN_SEQ_LENGTH = BERT_FRAME.shortest_row
Length = Annotated[int, AtLeast(MIN_SEQ_LENGTH)]


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which store or stores, and how their sentences become rows."""

  # A folder that launch.prepare wrote. One of `store` and `stores` is given;
  # `data_pipelines.rows.mixture` refuses both, and neither.
  store: str = ""
  # Several stores, as PATH=WEIGHT,PATH=WEIGHT. The weights are shares of the
  # rows of every batch, scaled so that they add up to 1.
  stores: str = ""
  seq_length: Length = 128
  # The maximum number of examples packed into a row; 0 chooses it from the
  # store's length index.
  max_packs: Annotated[int, AtLeast(0)] = 0
  # Processes that make batches; 0 makes them in a thread of the trainer.
  workers: Annotated[int, AtLeast(0)] = 0
  # Batches that each worker holds ready.
  prefetch: Annotated[int, AtLeast(1)] = 4
