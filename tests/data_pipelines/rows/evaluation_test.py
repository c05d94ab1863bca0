# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of evaluation batches: each row once, always the same."""

import pytest

from bertjax.batch import PRETRAINING_FEATURES, check_batch
from tests.testing.batches import (
  PAD,
  SEQ,
  assert_equal,
  evaluate,
  make,
  make_planner,
  packs,
)


def test_evaluation_has_each_row_once_and_pads_the_last_batch(made):
  batches = evaluate(made)
  assert len(batches) > 3
  keys = []
  for index, batch in enumerate(batches):
    check_batch(batch, PRETRAINING_FEATURES)
    assert batch["tokens_BS"].shape == (10, SEQ)
    real = (batch["packs_BS"] > 0).any(axis=1)
    if index < len(batches) - 1:
      assert real.all()
    else:
      assert real.sum() == batches.num_rows - 10 * index > 0
      assert (batch["tokens_BS"][~real] == PAD).all()
      assert (batch["pair_label_BR"][~real] == -1).all()
    keys += [pack["key"] for pack in packs(batch)]
  assert len(set(keys)) == len(keys)
  planner = make_planner(made, "validation", batches.num_packs)
  planned = [
    tuple(key)
    for block in range(planner.split.num_blocks)
    for key in planner.rows(0, block).keys_E2.tolist()
  ]
  assert planner.split.num_blocks > 1
  assert keys == planned


def test_evaluation_rows_do_not_depend_on_the_batch_size(made):
  ordered = [
    [pack["tokens"] for batch in evaluate(made, size) for pack in packs(batch)]
    for size in (1, 10, 64)
  ]
  assert ordered[0] == ordered[1] == ordered[2]


def test_evaluation_can_be_cut_short_and_taken_in_parts(made):
  whole, some = evaluate(made), evaluate(made, batches=3)
  assert len(some) == 3
  assert len(evaluate(made, batches=10_000)) == len(whole)
  for index in range(3):
    assert_equal(some[index], whole[index])
  last = len(whole) - 1
  for rows in (slice(0, 4), slice(4, 10)):
    part = whole.batch(last, rows)
    expected = {name: array[rows] for name, array in whole[last].items()}
    assert_equal(part, expected)
  with pytest.raises(IndexError, match=f"of {len(whole)}"):
    whole[len(whole)]


def test_evaluation_has_the_shape_of_training(made):
  assert evaluate(made).num_packs == make(made).num_packs
  assert evaluate(made, max_packs=2).num_packs == 2
