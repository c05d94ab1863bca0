# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of planned rows: taken apart, they are what they were together."""

import dataclasses

import numpy as np
import pytest

from data_pipelines.rows.rows import Rows, join_rows


def make_rows(count, seed=0):
  """Rows of 0 to 3 examples, of 1 or 2 segments each; no two values equal."""
  rng = np.random.default_rng(seed)
  examples_N = rng.integers(0, 4, count)
  segments_E = rng.integers(1, 3, examples_N.sum())
  place_K = np.arange(segments_E.sum())
  return Rows(
    examples_N=examples_N,
    keys_E2=np.arange(2 * len(segments_E), dtype=np.uint32).reshape(-1, 2),
    labels_E=np.arange(len(segments_E)),
    segments_E=segments_E,
    specials_E=1 + segments_E,
    address_K=place_K,
    length_K=place_K + 1000,
    type_K=place_K + 2000,
  )


def assert_equal(left, right):
  for name, values in dataclasses.asdict(left).items():
    np.testing.assert_array_equal(values, getattr(right, name), err_msg=name)


@pytest.mark.parametrize("border", [0, 1, 7, 20])
def test_rows_that_are_cut_and_joined_are_the_same(border):
  rows = make_rows(20)
  parts = [rows.cut(0, range(border)), rows.cut(border, range(20 - border))]
  assert [len(part) for part in parts] == [border, 20 - border]
  assert_equal(join_rows(parts), rows)


def test_selected_rows_are_those_rows_one_by_one():
  """In any order, and as often as they are named."""
  rows = make_rows(20)
  order_N = np.array([7, 3, 3, 19, 0])
  one_by_one = [rows.cut(row, range(1)) for row in order_N.tolist()]
  assert_equal(rows.select(order_N), join_rows(one_by_one))


def test_an_example_is_as_long_as_its_segments_and_special_tokens():
  lengths_E = make_rows(20).lengths()
  rows = make_rows(20)
  ends_E = np.cumsum(rows.segments_E)
  for length, end, count in zip(
    lengths_E, ends_E, rows.segments_E, strict=True
  ):
    # [CLS], and a [SEP] behind each segment.
    assert length == rows.length_K[end - count : end].sum() + 1 + count
