# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import copy

import pytest

from launch.reports import store_notes

SOUND = {
  "splits": {
    "train": {"documents": 9, "unknown_rate": 0.0, "fertility": 1.2},
    "validation": {},
  },
  "vocabulary": {"never": 1, "ordinary": 100},
  "pairs": [{"expected": 0.51}],
  "formats": [{"efficiency": 0.99}],
}


@pytest.mark.parametrize(
  ("place", "value", "note"),
  [
    (("splits", "train", "documents"), 1, "impossible"),
    (("splits", "train", "unknown_rate"), 0.02, "unknown"),
    (("splits", "train", "fertility"), 2.5, "has 2.50 tokens"),
    (("vocabulary", "never"), 60, "never occur"),
    (("pairs", 0, "expected"), 0.8, "80.0"),
    (("formats", 0, "efficiency"), 0.5, "padding"),
  ],
)
def test_only_unusual_numbers_give_a_note(place, value, note):
  assert list(store_notes.find_notes(SOUND)) == []
  numbers = copy.deepcopy(SOUND)
  part = numbers
  for name in place[:-1]:
    part = part[name]
  part[place[-1]] = value
  (shown,) = store_notes.find_notes(numbers)
  assert note in shown
