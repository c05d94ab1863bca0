# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the starts of epochs and visits, and its marks."""

import numpy as np

from data_pipelines.rows.known_starts import KnownStarts, ProgressMark


def make():
  """Three lanes of four visits an epoch, known up to the second epoch."""
  known = KnownStarts(3, 4)
  known.add_epoch(1, np.array([40, 40, 39]))
  known.add(0, 2, 18)
  known.add(0, 5, 52)
  known.add(1, 3, 31)
  return known


def test_the_last_start_up_to_a_row_is_found():
  known = make()
  assert known.last(0, 17) == (0, 0)
  assert known.last(0, 18) == (18, 2)
  assert known.last(0, 51) == (40, 4)
  assert known.last(0, 99) == (52, 5)
  assert known.last(2, 38) == (0, 0)
  assert known.last(2, 39) == (39, 4)


def test_starts_of_other_epochs_do_not_count():
  known = make()
  assert known.last_of_epoch(0, 3, 0) == (18, 2)
  assert known.last_of_epoch(0, 1, 0) == (0, 0)
  assert known.last_of_epoch(0, 7, 40) == (52, 5)
  assert known.last_of_epoch(1, 7, 40) == (40, 4)


def test_marks_are_of_one_epoch_and_make_another_instance_as_wise():
  known = make()
  rows = np.array([60, 45, 39])
  marks = known.marks(rows)
  assert marks == [
    ProgressMark(0, 1, 4, 40),
    ProgressMark(1, 1, 4, 40),
    ProgressMark(2, 1, 4, 39),
    ProgressMark(0, 0, 5, 52),
  ]
  other = KnownStarts(3, 4)
  other.merge(marks)
  assert other.marks(rows) == marks
  # Lane 2 has not begun the second epoch, so that it does not count yet.
  assert known.marks(np.array([60, 45, 38])) == [
    *(ProgressMark(lane, 1, 0, 0) for lane in range(3)),
    ProgressMark(0, 0, 2, 18),
    ProgressMark(1, 0, 3, 31),
  ]


def test_the_start_of_an_epoch_needs_all_lanes():
  other = KnownStarts(3, 4)
  other.merge(make().marks(np.array([60, 45, 39]))[:2])
  assert list(other.epochs) == [0]


def test_what_is_remembered_is_bounded_and_keeps_the_beginning():
  known = KnownStarts(2, 2)
  for epoch in range(1, 1000):
    known.add_epoch(epoch, np.array([epoch, epoch]))
    known.add(0, 2 * epoch + 1, epoch)
  assert 0 in known.epochs
  assert 999 in known.epochs
  assert len(known.epochs) < 100
  assert len(known._starts[0]) < 100
