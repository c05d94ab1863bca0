# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of lanes: each position walks its blocks, with or without a memo."""

import json

import pytest

from data_pipelines.rows import lanes
from data_pipelines.rows.planner import Planner
from tests.testing.batches import (
  assert_equal,
  make,
  make_planner,
)


@pytest.mark.parametrize("batch_size", [1, 8, 12])
def test_lanes_walk_the_visits_row_by_row(batch_size, made):
  """Against lanes written out in full."""
  planner = make_planner(made, "train", 2)
  blocks = planner.split.num_blocks
  count = lanes.count_lanes(batch_size, blocks)
  streams = []
  for lane in range(count):
    visits = range(lane, 3 * blocks, count)
    streams.append(
      [
        tuple(key)
        for visit in visits
        for key in _first_keys(
          planner.rows(
            visit // blocks,
            int(planner.block_order(visit // blocks)[visit % blocks]),
          )
        )
      ]
    )
  pipeline = make(made, batch_size=batch_size, max_packs=2)
  share = batch_size // count
  for step in range(min(len(stream) for stream in streams) // share):
    keys = pipeline.batch(step)["key_BR2"][:, 0].tolist()
    for position, key in enumerate(keys):
      row = step * share + position // count
      assert tuple(key) == streams[position % count][row]


def _first_keys(rows):
  return rows.keys_E2[rows.starts[0][:-1]].tolist()


def test_lanes_divide_the_batch_and_are_as_many_as_can_be():
  for batch_size in (1, 7, 8, 96, 256):
    for blocks in (1, 2, 5, 35, 1000):
      count = lanes.count_lanes(batch_size, blocks)
      assert batch_size % count == 0
      assert count <= min(blocks, 64)
      better = range(count + 1, min(blocks, batch_size, 64) + 1)
      assert all(batch_size % more for more in better)


@pytest.mark.parametrize("name", ["made", "small"])
def test_a_memo_changes_no_batch_and_saves_planning(name, request, monkeypatch):
  store = request.getfixturevalue(name)
  planned = []
  plan = Planner.rows
  monkeypatch.setattr(
    Planner, "rows", lambda *args: planned.append(args[1:]) or plan(*args)
  )
  pipeline = make(store)
  for step in range(150):
    pipeline.batch(step)
  memo = json.loads(json.dumps(pipeline.memo(120)))
  expected = [pipeline.batch(step) for step in (120, 121, 149, 150)]

  planned.clear()
  fresh = make(store)
  assert_equal(fresh.batch(120), expected[0])
  slow = len(planned)
  planned.clear()
  resumed = make(store)
  assert resumed.restore(memo)
  assert_equal(resumed.batch(120), expected[0])
  fast = len(planned)
  lanes_used = lanes.count_lanes(12, store.split("train").num_blocks)
  assert fast <= 2 * lanes_used
  assert fast < slow
  for step, batch in zip((121, 149, 150), expected[1:], strict=True):
    assert_equal(resumed.batch(step), batch)
  # Also what lies before the memo is still the same.
  assert_equal(resumed.batch(3), make(store).batch(3))


@pytest.mark.parametrize(
  "changes",
  [
    {"seed": 1},
    {"batch_size": 6},
    {"max_packs": 1},
    {"cell": ("segment_pair", "off")},
    {"cell": ("sentence_pair", "nsp")},
    {"short_rate": 0.5},
  ],
)
def test_a_memo_of_other_batches_is_ignored(changes, made):
  pipeline = make(made)
  pipeline.batch(90)
  other = make(made, **changes)
  assert not other.restore(pipeline.memo(90))
  assert_equal(other.batch(90), make(made, **changes).batch(90))


def test_a_memo_of_some_rows_serves_any_others(made):
  pipeline = make(made)
  pipeline.batch(90, slice(0, 2))
  resumed = make(made)
  assert resumed.restore(pipeline.memo(90))
  assert_equal(resumed.batch(90), make(made).batch(90))


def test_a_host_plans_only_the_blocks_of_its_rows(made, monkeypatch):
  planned = []
  plan = Planner.rows
  monkeypatch.setattr(
    Planner, "rows", lambda *args: planned.append(args[1:]) or plan(*args)
  )
  assert made.split("train").num_blocks >= 12
  make(made).batch(0, slice(4, 6))
  assert len(planned) == 2


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("rows", [None, slice(3, 8)])
def test_steps_in_order_are_looked_up_together(stride, rows, made, monkeypatch):
  """As each of several workers asks for them; and then someone does not."""
  looked_up = []
  look_up = lanes.Lanes._look_up
  monkeypatch.setattr(
    lanes.Lanes,
    "_look_up",
    lambda self, *args: looked_up.append(args) or look_up(self, *args),
  )
  pipeline, plain = make(made), make(made)
  steps = [*range(1, 100, stride), 7, 8, 3, 50, 51, 52, 53]
  found = [pipeline.batch(step, rows) for step in steps]
  assert len(looked_up) < len(steps) / 2
  # No step is looked up that nobody asks for.
  ordered = len(looked_up) - 7
  known = {step for args in looked_up[:ordered] for step in args[0]}
  assert known <= set(range(1, 400, stride))
  for step, batch in zip(steps, found, strict=True):
    plain._lanes._window = None
    assert_equal(batch, plain.batch(step, rows))
  # Batches do not share memory, so that a caller may change its batch.
  first, again = pipeline.batch(60), pipeline.batch(61)
  first["tokens_BS"][:] = 0
  assert_equal(again, plain.batch(61))
