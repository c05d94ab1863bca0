# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Planned rows: the ranges of tokens in each row, before they are read."""

import dataclasses
import functools
from collections.abc import Sequence, Sized
from typing import Self

import numpy as np

from data_pipelines.rows.examples import sum_segments
from data_pipelines.store.ranges import flatten_ranges

Index = slice | np.ndarray


@dataclasses.dataclass(frozen=True)
class Rows:
  """A sequence of rows of packed examples; examples are as in `Examples`.

  Attributes:
    examples_N: int64, number of examples of each row.
    keys_E2: uint32, masking key of each example.
    labels_E: int64, as `pair_label_BR`.
    segments_E: int64, number of segments of each example.
    specials_E: int64, number of special tokens of each example.
    address_K, length_K, type_K: int64, the segments of all examples.
  """

  examples_N: np.ndarray
  keys_E2: np.ndarray
  labels_E: np.ndarray
  segments_E: np.ndarray
  specials_E: np.ndarray
  address_K: np.ndarray
  length_K: np.ndarray
  type_K: np.ndarray

  def __len__(self) -> int:
    return len(self.examples_N)

  @functools.cached_property
  def starts(self) -> tuple[np.ndarray, np.ndarray]:
    """First example and first segment of each row: int64 [N + 1] each."""
    example_N1 = np.concatenate(([0], np.cumsum(self.examples_N)))
    segment_E1 = np.concatenate(([0], np.cumsum(self.segments_E)))
    return example_N1, segment_E1[example_N1]

  def lengths(self) -> np.ndarray:
    """Return the length of each example with its special tokens: int64 [E]."""
    return self.specials_E + sum_segments(self.segments_E, self.length_K)

  def cut(self, first: int, count: Sized) -> Self:
    """Return `len(count)` rows from `first` on, as views."""
    stop = first + len(count)
    if first == 0 and stop == len(self):
      return self
    examples, segments = (
      slice(starts[first], starts[stop]) for starts in self.starts
    )
    return self._index(slice(first, stop), examples, segments)

  def select(self, rows_N: np.ndarray) -> Self:
    """Return copies of the rows `rows_N`, in that order."""
    example_N1, segment_N1 = self.starts
    order_E = flatten_ranges(example_N1[rows_N], self.examples_N[rows_N])
    # The examples of a row are consecutive, and so are its segments.
    first_N = segment_N1[rows_N]
    order_K = flatten_ranges(first_N, segment_N1[rows_N + 1] - first_N)
    return self._index(rows_N, order_E, order_K)

  def _index(self, rows: Index, examples: Index, segments: Index) -> Self:
    return type(self)(
      examples_N=self.examples_N[rows],
      keys_E2=self.keys_E2[examples],
      labels_E=self.labels_E[examples],
      segments_E=self.segments_E[examples],
      specials_E=self.specials_E[examples],
      address_K=self.address_K[segments],
      length_K=self.length_K[segments],
      type_K=self.type_K[segments],
    )


def join_rows(parts: Sequence[Rows]) -> Rows:
  """Concatenate rows."""
  if len(parts) == 1:
    return parts[0]
  return Rows(
    **{
      field.name: np.concatenate([getattr(part, field.name) for part in parts])
      for field in dataclasses.fields(Rows)
    }
  )
