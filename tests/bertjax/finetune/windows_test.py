# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays by window are those of the rows, in the order of the windows."""

import numpy as np
import pytest

from bertjax.finetune import windows

# Two rows of six positions: window 2 alone; windows 1 and 0 side by side.
PACKS_BS = np.asarray([[1, 1, 1, 1, 0, 0], [1, 1, 2, 2, 2, 0]])
STARTS_BR = np.asarray([[0, 0], [0, 2]])
WINDOW_BR = np.asarray([[2, -1], [1, 0]])


def test_windows_are_found_in_their_order():
  places = windows.find(PACKS_BS, STARTS_BR, WINDOW_BR)
  assert places.row_N.tolist() == [1, 1, 0]
  assert places.pack_N.tolist() == [1, 0, 0]
  assert places.start_N.tolist() == [2, 0, 0]
  assert places.length_N.tolist() == [3, 2, 4]


def test_arrays_are_cut_out_and_padded_with_zeros():
  places = windows.find(PACKS_BS, STARTS_BR, WINDOW_BR)
  rows = {
    "tag_BS": np.arange(1, 13).reshape(2, 6),
    "logits_BRC": np.arange(12.0).reshape(2, 2, 3),
    "span_BS2": np.ones((2, 6, 2)),
  }
  found = windows.by_window(rows, places)
  assert {*found} == {"tag_NS", "logits_NC", "span_NS2"}
  assert found["tag_NS"].tolist() == [
    [9, 10, 11, 0],
    [7, 8, 0, 0],
    [1, 2, 3, 4],
  ]
  np.testing.assert_array_equal(
    found["logits_NC"], [[9, 10, 11], [6, 7, 8], [0, 1, 2]]
  )
  assert found["span_NS2"].sum() == 2 * places.length_N.sum()


@pytest.mark.parametrize(
  ("settings", "pooled"),
  [({}, [[2, 0.5], [5, 5]]), ({"pool_max": 1.0}, [[3, 1], [5, 5]])],
)
def test_outputs_of_a_long_text_are_pooled(settings, pooled):
  outputs = {"logits_NC": np.asarray([[1.0, 1], [3, 0], [5, 5]], np.float32)}
  given = windows.Windows(
    {"label_N": np.asarray([7, 7, 8])},
    np.asarray([4, 3, 2]),
    np.asarray([0, 0, 1]),
    settings=settings,
  )
  found, examples = windows.pool(outputs, given)
  assert found["logits_NC"].tolist() == pooled
  assert examples["label_N"].tolist() == [7, 8]
  assert examples.owner_N.tolist() == [0, 1]
  # What is one window each stays as it is.
  again, same = windows.pool(found, examples)
  assert again is found
  assert same is examples


def test_some_examples_have_their_windows_and_no_others():
  whole = windows.Windows(
    {"tag_NS": np.arange(8).reshape(4, 2)},
    np.asarray([2, 1, 2, 1]),
    np.asarray([0, 0, 1, 2]),
    ("long", "short", "last"),
    settings={"stride": 1},
  )
  some = whole.take(np.asarray([2, 0]))
  assert some["tag_NS"].tolist() == [[6, 7], [0, 1], [2, 3]]
  assert some.length_N.tolist() == [1, 2, 1]
  assert some.owner_N.tolist() == [0, 1, 1]
  assert list(some.examples) == ["last", "long"]
  assert some.settings == whole.settings
