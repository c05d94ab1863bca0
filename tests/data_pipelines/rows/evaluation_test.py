# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of evaluation batches: no row twice, always the same."""

import numpy as np
import pytest

from bertjax.batch import PRETRAINING_FEATURES, check_batch
from data_pipelines.rows import evaluation
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


@pytest.mark.parametrize("rows", [1, 30, 47])
def test_some_rows_are_drawn_evenly_from_the_blocks_of_the_split(rows, made):
  whole, some = evaluate(made), evaluate(made, rows=rows)
  assert some.num_rows == rows
  assert len(some) == -(-rows // 10)
  split = make_planner(made, "validation", 2).split
  assert split.num_blocks < rows or rows == 1
  places = {keys_of(batch) for batch in single_rows(whole)}
  drawn = [keys_of(batch) for batch in single_rows(some)]
  assert len(set(drawn)) == rows
  assert set(drawn) <= places
  planner = make_planner(made, "validation", whole.num_packs)
  sizes, counts = [], []
  for block in range(split.num_blocks):
    keys = planner.rows(0, block).keys_E2.tolist()
    known = set(map(tuple, keys))
    sizes.append(len(planner.rows(0, block)))
    counts.append(sum(row[0] in known for row in drawn))
  # The same share of each block, rounded.
  share = np.cumsum(counts) - rows * np.cumsum(sizes) / sum(sizes)
  assert sum(counts) == rows
  assert (np.abs(share) < 1).all()


def single_rows(batches):
  """Each row that has examples, as its packs."""
  for batch in batches:
    rows = {}
    for pack in packs(batch):
      rows.setdefault(pack["row"], []).append(pack)
    yield from rows.values()


def keys_of(row):
  return tuple(pack["key"] for pack in row)


def test_a_sample_of_blocks_grows_until_it_has_the_rows(made, monkeypatch):
  monkeypatch.setattr(evaluation, "_BLOCKS", 1)
  whole = evaluate(made)
  for rows in (5, whole.num_rows - 1, whole.num_rows, 10_000):
    assert evaluate(made, rows=rows).num_rows == min(rows, whole.num_rows)


@pytest.mark.parametrize("rows", [0, 30])
def test_evaluation_rows_do_not_depend_on_the_batch_size(rows, made):
  ordered = [
    [
      pack["tokens"]
      for batch in evaluate(made, size, rows=rows)
      for pack in packs(batch)
    ]
    for size in (1, 10, 64)
  ]
  assert ordered[0] == ordered[1] == ordered[2]


def test_evaluation_can_be_taken_in_parts(made):
  whole = evaluate(made)
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
