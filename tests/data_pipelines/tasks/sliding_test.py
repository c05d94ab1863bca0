# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from data_pipelines.tasks.sliding import Window, most_context, slide


@pytest.mark.parametrize(
  ("length", "size", "stride", "windows"),
  [
    (0, 4, 2, [(0, 0)]),
    (4, 4, 2, [(0, 4)]),
    (5, 4, 2, [(0, 4), (2, 5)]),
    (9, 4, 3, [(0, 4), (3, 7), (6, 9)]),
    (9, 4, 9, [(0, 4), (4, 8), (8, 9)]),  # no token is skipped
  ],
)
def test_windows_are_those_of_run_squad(length, size, stride, windows):
  assert slide(length, size, stride) == [Window(*each) for each in windows]


def reference(windows, place):
  """`_check_is_max_context` of run_squad.py, over all windows."""
  best, chosen = None, None
  for number, (start, stop) in enumerate(windows):
    if not start <= place < stop:
      continue
    left, right = place - start, stop - 1 - place
    context = min(left, right) + 0.01 * (stop - start)
    if best is None or context > best:
      best, chosen = context, number
  return chosen


@pytest.mark.parametrize("stride", [1, 3, 5, 7])
def test_a_token_counts_where_it_has_most_context(stride):
  windows = slide(23, 7, stride)
  found = most_context(windows, 23)
  assert found.tolist() == [reference(windows, place) for place in range(23)]
  assert (np.diff(found) >= 0).all()
