# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of lanes: each position walks its blocks, with or without a memo."""

import itertools
import json
import pickle
import types
from typing import Any

import numpy as np
import pytest

from data_pipelines.rows import lanes
from data_pipelines.rows.known_starts import ProgressMark
from data_pipelines.rows.planner import Planner
from data_pipelines.rows.rows import Rows
from launch.run import resumable
from tests.testing.batches import (
  assert_equal,
  make,
  make_planner,
)


def write_out(planner, batch_size, epochs):
  """The rows of each lane, by the definition: one row after another."""
  blocks = planner.split.num_blocks
  count = lanes.count_lanes(batch_size, blocks)
  streams = [[] for _ in range(count)]
  for epoch in range(epochs):
    order = planner.block_order(epoch).tolist()
    own = (blocks // count - 1) * count
    tokens = [0] * count
    for turn in range(0, own, count):
      # The largest block is for the lane that had the least text.
      lanes_by_text = sorted(range(count), key=tokens.__getitem__)
      size = np.diff(planner.split.blocks[:, 3]).tolist()
      dealt = sorted(order[turn : turn + count], key=lambda at: -size[at])
      for lane, block in zip(lanes_by_text, dealt, strict=True):
        streams[lane] += names(planner.rows(epoch, block))
        tokens[lane] += size[block]
    shared = [names(planner.rows(epoch, block)) for block in order[own:]]
    mixed = sorted(
      ((row + 0.5) / len(rows), block, row)
      for block, rows in enumerate(shared)
      for row in range(len(rows))
    )
    for _, block, row in mixed:
      following = [len(rows) * count + at for at, rows in enumerate(streams)]
      streams[np.argmin(following)].append(shared[block][row])
  return streams


def names(rows):
  """The first key of each row, which no other row has."""
  return list(map(tuple, rows.keys_E2[rows.starts[0][:-1]].tolist()))


@pytest.mark.parametrize("batch_size", [1, 3, 8, 12, 13, 100])
def test_lanes_walk_the_visits_row_by_row(batch_size, made):
  planner = make_planner(made, "train", 2)
  streams = write_out(planner, batch_size, epochs=3)
  pipeline = make(made, batch_size=batch_size, max_packs=2)
  for step in range(sum(map(len, streams)) // batch_size):
    keys = pipeline.batch(step)["key_BR2"][:, 0].tolist()
    for position, key in enumerate(keys):
      row, lane = divmod(step * batch_size + position, len(streams))
      assert tuple(key) == streams[lane][row]


class SomeBlocks:
  """Stands in for a planner: blocks of one-example rows, of any sizes."""

  def __init__(self, sizes):
    index = np.zeros((len(sizes) + 1, 4), np.int64)
    index[1:, 3] = np.cumsum(sizes)
    self.split = types.SimpleNamespace(num_blocks=len(sizes), blocks=index)
    self._sizes = sizes
    self.planned = self.counted = 0

  def block_order(self, epoch):
    return np.random.default_rng(epoch).permutation(len(self._sizes))

  def size(self, epoch, block):
    # A block has other rows in each epoch.
    return int(self._sizes[block]) + (epoch + block) % 3

  def count_rows(self, epoch, block):
    self.counted += 1
    return self.size(epoch, block)

  def rows(self, epoch, block):
    self.planned += 1
    size = self.size(epoch, block)
    one = np.ones(size, np.int64)
    keys = np.stack((one * (epoch << 16 | block), np.arange(size)), axis=1)
    return Rows(one, keys, one, one, one, one, one, one)

  def epoch(self, epoch):
    """Every row of an epoch."""
    return {
      (epoch << 16 | block, row)
      for block in range(len(self._sizes))
      for row in range(self.size(epoch, block))
    }


def walk_lanes(planner: Any, batch_size):
  return lanes.Lanes(planner, batch_size)


def take(walk, step, batch_size, rows=slice(None)):
  (found,) = walk.ranges(step, range(batch_size)[rows])
  return names(found.rows.cut(found.first, found.places))


SWEEP = [
  (blocks, batch_size)
  for blocks in (1, 2, 5, 7, 63, 64, 65, 92, 127, 128, 200, 300)
  for batch_size in (1, 4, 7, 64, 77, 179, 256, 1000)
]


@pytest.mark.parametrize(("blocks", "batch_size"), SWEEP)
def test_an_epoch_has_every_row_once(blocks, batch_size):
  """After exactly its rows, however many blocks and rows a batch there are."""
  sizes = np.random.default_rng(blocks).integers(20, 40, blocks)
  planner = SomeBlocks(sizes)
  walk = walk_lanes(planner, batch_size)
  steps, run = itertools.count(), []
  for epoch in range(2):
    wanted = planner.epoch(epoch)
    while len(run) < len(wanted):
      run += take(walk, next(steps), batch_size)
    found, run = run[: len(wanted)], run[len(wanted) :]
    assert len(set(found)) == len(found)
    assert set(found) == wanted


@pytest.mark.parametrize("batch_size", [77, 179, 256, 307, 461, 2731])
def test_a_batch_comes_from_as_many_blocks_as_there_can_be(batch_size):
  """Whatever divides it: a mixture gives a store any number of rows."""
  walk = walk_lanes(SomeBlocks([50] * 300), batch_size)
  for step in range(3):
    blocks = [block for block, _ in take(walk, step, batch_size)]
    counts = np.unique(blocks, return_counts=True)[1]
    assert len(counts) >= 64
    assert counts.max() <= -(-batch_size // 64)


def test_a_lane_with_too_large_a_block_ends_its_epoch_later():
  planner = SomeBlocks([5] * 40 + [400])
  walk = walk_lanes(planner, 8)
  streams = write_out(planner, 8, epochs=6)
  shortest = min(map(len, streams))
  assert max(map(len, streams)) > shortest + 100
  for step in range(shortest):
    assert take(walk, step, 8) == [rows[step] for rows in streams]


@pytest.mark.parametrize(
  ("blocks", "batch_size"), [(5, 12), (40, 12), (92, 77)]
)
def test_any_rows_of_any_steps_are_the_same(blocks, batch_size):
  sizes = np.random.default_rng(blocks).integers(3, 9, blocks)
  whole = walk_lanes(SomeBlocks(sizes), batch_size)
  steps = 3 * 6 * blocks // batch_size
  batches = [take(whole, step, batch_size) for step in range(steps)]
  generator = np.random.default_rng(0)
  other = walk_lanes(SomeBlocks(sizes), batch_size)
  for _ in range(60):
    step = int(generator.integers(steps))
    first, stop = sorted(generator.integers(0, batch_size + 1, 2).tolist())
    if generator.random() < 0.2:
      other = pickle.loads(pickle.dumps(other))
    if generator.random() < 0.2:
      marks = other.progress_marks(step)
      other = walk_lanes(SomeBlocks(sizes), batch_size)
      other.merge(marks)
    if first < stop:
      found = take(other, step, batch_size, slice(first, stop))
      assert found == batches[step][first:stop]


@pytest.mark.parametrize("batch_size", [12, 300])
def test_hosts_together_know_where_to_go_on(batch_size):
  """Each host walks its lanes and counts the others; all give their marks."""
  sizes = np.random.default_rng(0).integers(20, 40, 200)
  half = batch_size // 2
  hosts = [walk_lanes(SomeBlocks(sizes), batch_size) for _ in range(2)]
  halves = [slice(0, half), slice(half, None)]
  last = 4 * int(sizes.sum()) // batch_size
  for step in range(last):
    for host, rows in zip(hosts, halves, strict=True):
      take(host, step, batch_size, rows)
  for step in range(last - 8, last):
    facts = [
      [list(mark) for mark in host.progress_marks(step)] for host in hosts
    ]
    resumed_planner = SomeBlocks(sizes)
    resumed = walk_lanes(resumed_planner, batch_size)
    merged = resumable.merge_facts(facts)
    resumed.merge([ProgressMark(*mark) for mark in merged])
    for host, rows in zip(hosts, halves, strict=True):
      found = take(resumed, step, batch_size, rows)
      assert found == take(host, step, batch_size, rows)
    assert resumed_planner.planned + resumed_planner.counted <= 4 * 64


def test_other_lanes_are_counted_along_the_way():
  """A host of few lanes does not wait at the end of an epoch for all counts."""
  planner = SomeBlocks([30] * 600)
  walk = walk_lanes(planner, 60)
  costs = []
  for step in range(320):
    before = planner.counted
    take(walk, step, 60, slice(0, 4))
    costs.append(planner.counted - before)
  assert sum(costs) > 400
  assert max(costs) <= 2 * 60


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_memo_of_a_store_that_a_step_passes_many_times(blocks):
  planner = SomeBlocks([26] * blocks)
  walk = walk_lanes(planner, 512)
  expected = [take(walk, step, 512) for step in range(20)]
  resumed_planner = SomeBlocks([26] * blocks)
  resumed = walk_lanes(resumed_planner, 512)
  resumed.merge(walk.progress_marks(19))
  assert take(resumed, 19, 512) == expected[-1]
  # What the rows of one step need, and not those of twenty.
  assert resumed_planner.planned + resumed_planner.counted <= 512 // 26 + 6


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
  # Fewer than two visits to each block are shared out among all lanes.
  assert made.split("train").num_blocks >= 2 * 6
  make(made, batch_size=6).batch(0, slice(2, 4))
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
