# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the batches: pure, whole, and the same whoever asks."""

import itertools
import json
import pickle

import numpy as np
import pytest
from absl import flags

from bertjax.batch import PRETRAINING_FEATURES, check_batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows import lanes
from data_pipelines.rows.evaluation import evaluation_batches
from data_pipelines.rows.pipeline import PretrainingPipeline, train_iterator
from data_pipelines.rows.planner import Planner
from data_pipelines.store import token_reader
from data_pipelines.store.layout import MAX_RECORD
from tests.testing import synthetic

SEQ = 48
CLS, SEP, PAD = (synthetic.SPECIALS[name] for name in ("cls", "sep", "pad"))
CELLS = [
  ("segment_pair", "nsp"),
  ("segment_pair", "off"),
  ("segment_pair", "sop"),
  ("full_sentences", "off"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  return synthetic.make_store(
    tmp_path_factory.mktemp("pretraining") / "made",
    {
      "train": synthetic.draw_documents(200),
      "validation": synthetic.draw_documents(60, seed=1),
    },
    block_tokens=2_000,
    record_tokens=300,
  )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
  """A store of one block, as the embedded corpus is."""
  return synthetic.make_store(
    tmp_path_factory.mktemp("pretraining") / "small",
    {"train": synthetic.draw_documents(40)},
  )


def make(
  store,
  batch_size=12,
  seed=0,
  max_packs=0,
  cell=("segment_pair", "nsp"),
  short_rate=0.1,
):
  form, task = cell
  return PretrainingPipeline(
    store,
    "train",
    objective=ObjectiveConfig(
      input_format=form, next_sentence=task, short_rate=short_rate
    ),
    data=DataConfig(seq_length=SEQ, max_packs=max_packs),
    batch_size=batch_size,
    seed=seed,
  )


def make_planner(store, split, max_packs, cell=("segment_pair", "nsp")):
  form, task = cell
  return Planner(
    store,
    split,
    objective=ObjectiveConfig(input_format=form, next_sentence=task),
    seq_length=SEQ,
    max_packs=max_packs,
    seed=0,
  )


def assert_equal(left, right):
  assert left.keys() == right.keys()
  for name in left:
    np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def packs(batch):
  """Every real pack: its key, label, segments of places, and its row."""
  for row in range(len(batch["tokens_BS"])):
    for pack in range(batch["packs_BS"][row].max(initial=0)):
      at = np.flatnonzero(batch["packs_BS"][row] == pack + 1)
      yield {
        "row": row,
        "pack": pack,
        "at": at,
        "key": tuple(batch["key_BR2"][row, pack].tolist()),
        "label": int(batch["pair_label_BR"][row, pack]),
        "tokens": tuple(batch["tokens_BS"][row, at].tolist()),
        "types": tuple(batch["types_BS"][row, at].tolist()),
      }


@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_keeps_the_contract(cell, made):
  pipeline = make(made, cell=cell)
  batch = pipeline.batch(3)
  check_batch(batch, PRETRAINING_FEATURES)
  assert batch["tokens_BS"].shape == (12, SEQ)
  assert batch["starts_BR"].shape == (12, pipeline.num_packs)
  for row in range(12):
    numbers = batch["packs_BS"][row]
    filled = np.flatnonzero(numbers)
    # Packs come one after another from the left; then only padding.
    np.testing.assert_array_equal(filled, np.arange(len(filled)))
    assert (np.diff(numbers[filled]) >= 0).all()
    count = int(numbers.max())
    assert count >= 1
    assert (batch["tokens_BS"][row, len(filled) :] == PAD).all()
    for name in ("types_BS", "positions_BS"):
      assert (batch[name][row, len(filled) :] == 0).all()
    assert (batch["starts_BR"][row, count:] == 0).all()
    assert (batch["pair_label_BR"][row, count:] == -1).all()
    assert (batch["key_BR2"][row, count:] == 0).all()
    for pack in range(count):
      at = np.flatnonzero(numbers == pack + 1)
      assert batch["starts_BR"][row, pack] == at[0]
      np.testing.assert_array_equal(
        batch["positions_BS"][row, at], np.arange(len(at))
      )


@pytest.mark.parametrize("cell", CELLS)
def test_a_pack_is_cls_and_closed_segments_of_neighbouring_tokens(cell, made):
  pipeline = make(made, cell=cell)
  for step in range(4):
    for pack in packs(pipeline.batch(step)):
      tokens, types = np.array(pack["tokens"]), np.array(pack["types"])
      assert tokens[0] == CLS
      assert types[0] == 0
      assert tokens[-1] == SEP
      assert (tokens[1:] != CLS).all()
      ends = np.flatnonzero(tokens == SEP)
      for start, end in itertools.pairwise([0, *ends]):
        segment = tokens[start + 1 : end]
        assert len(segment) >= 1
        np.testing.assert_array_equal(np.diff(segment), 1)
        assert len(set(types[start + 1 : end + 1])) == 1
      if cell[0] == "segment_pair":
        assert types[ends].tolist() in ([0], [0, 1])


@pytest.mark.parametrize("cell", CELLS)
def test_an_epoch_has_every_token_once_as_own_text(cell, small):
  """One block, one lane: the first rows are exactly the first epoch."""
  pipeline = make(small, batch_size=1, cell=cell)
  train = small.split("train")
  planner = make_planner(small, "train", pipeline.num_packs, cell)
  first = 0
  for epoch in (0, 1):
    seen = []
    last = first + len(planner.rows(epoch, 0))
    for step in range(first, last):
      for pack in packs(pipeline.batch(step)):
        tokens, types = np.array(pack["tokens"]), np.array(pack["types"])
        random = cell[1] == "nsp" and pack["label"] == 1
        seen.append(tokens[(types == 0) if random else slice(None)])
    own = np.concatenate(seen)
    own = own[own >= synthetic.FIRST]
    assert len(np.unique(own)) == len(own)
    # Exact for the epoch that the report measures.
    if epoch == 0:
      cut = pipeline.report()["truncated_share"] * train.num_tokens
      assert len(own) + round(cut) == train.num_tokens
      assert last == pipeline.report()["rows_per_epoch"]
    first = last


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


def test_any_slice_of_rows_is_that_part_of_the_whole(made):
  pipeline = make(made)
  for step in (0, 5, 40):
    whole = pipeline.batch(step)
    for rows in (slice(0, 3), slice(3, 11), slice(11, 12), slice(4, 4)):
      part = make(made).batch(step, rows)
      check_batch(part, PRETRAINING_FEATURES)
      assert_equal(part, {name: array[rows] for name, array in whole.items()})


def test_any_order_of_steps_gives_the_same_batches(made):
  steps = list(range(0, 120, 7))
  expected = {step: make(made).batch(step) for step in steps}
  pipeline = make(made)
  for step in np.random.default_rng(0).permutation(steps * 2).tolist():
    assert_equal(pipeline.batch(step), expected[step])


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


ALL_CELLS = [
  *CELLS,
  ("sentence_pair", "nsp"),
  ("sentence_pair", "off"),
  ("sentence_pair", "sop"),
  ("doc_sentences", "off"),
]


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_hosts_restarts_and_histories_give_the_same_batches(cell, made):
  """One host from the start; against two of uneven parts, and restarts."""
  whole = make(made, cell=cell)
  steps = range(70)
  expected = [whole.batch(step) for step in steps]
  parts = (slice(0, 5), slice(5, 12))
  hosts = [make(made, cell=cell) for _ in parts]
  for step in steps:
    if step == 40:  # killed; one of them has its memo, both go on
      memo = hosts[0].memo(step)
      hosts = [make(made, cell=cell) for _ in parts]
      assert hosts[0].restore(memo)
    for host, rows in zip(hosts, parts, strict=True):
      part = host.batch(step, rows)
      assert_equal(
        part, {name: array[rows] for name, array in expected[step].items()}
      )
  # Without a memo, at random, each from nothing or from another place.
  order = np.random.default_rng(0).permutation(len(steps))
  wandering = make(made, cell=cell)
  for step in order[:12].tolist():
    assert_equal(wandering.batch(step), expected[step])
    if step % 4 == 0:
      assert_equal(make(made, cell=cell).batch(step), expected[step])


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
  # Batches do not share memory: whoever has one may change it.
  first, again = pipeline.batch(60), pipeline.batch(61)
  first["tokens_BS"][:] = 0
  assert_equal(again, plain.batch(61))


def test_batches_depend_on_seed_step_and_epoch(made, small):
  pipeline = make(made)
  first = pipeline.batch(0)["tokens_BS"]
  assert (first != pipeline.batch(1)["tokens_BS"]).any()
  assert (first != make(made, seed=1).batch(0)["tokens_BS"]).any()
  # Two epochs of one block: the same text, other rows, other keys.
  single = make(small, batch_size=1)
  rows = round(single.report()["rows_per_epoch"])
  epochs = [
    {
      pack["key"]
      for step in range(start, start + 30)
      for pack in packs(single.batch(step))
    }
    for start in (0, rows)
  ]
  assert not epochs[0] & epochs[1]


@pytest.mark.parametrize("cell", CELLS)
def test_packing_changes_no_example_and_no_key(cell, small):
  """What masks depend on is the key and the place inside the example."""

  def epoch(max_packs):
    pipeline = make(small, batch_size=1, max_packs=max_packs, cell=cell)
    assert pipeline.num_packs == max_packs
    rows = round(pipeline.report()["rows_per_epoch"])
    found = [
      (pack["key"], (pack["label"], pack["tokens"], pack["types"]))
      for step in range(rows)
      for pack in packs(pipeline.batch(step))
    ]
    assert len({key for key, _ in found}) == len(found)
    return rows, dict(found)

  rows, alone = epoch(1)
  fewer_rows, packed = epoch(4)
  assert packed == alone
  assert fewer_rows < rows


def test_arms_of_an_ablation_share_their_rows(made):
  """The weight of the pair loss and the mask rate change no row."""
  base = make(made)
  other = PretrainingPipeline(
    made,
    "train",
    objective=ObjectiveConfig(next_sentence_weight=0.0, mask_rate=0.3),
    data=DataConfig(seq_length=SEQ, workers=3, prefetch=9),
    batch_size=12,
    seed=0,
  )
  assert_equal(base.batch(7), other.batch(7))
  assert other.restore(base.memo(7))


def evaluate(store, batch_size=10, batches=0, max_packs=0):
  return evaluation_batches(
    store,
    "validation",
    objective=ObjectiveConfig(),
    data=DataConfig(seq_length=SEQ, max_packs=max_packs),
    batch_size=batch_size,
    batches=batches,
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


def test_the_report_is_what_the_batches_show(small):
  pipeline = make(small, batch_size=1)
  report = pipeline.report()
  rows = round(report["rows_per_epoch"])
  batches = [pipeline.batch(step) for step in range(rows)]
  filled = [(batch["packs_BS"] > 0).mean() for batch in batches]
  labels = [pack["label"] for batch in batches for pack in packs(batch)]
  assert report["rows_per_epoch"] == rows
  assert np.mean(filled) == pytest.approx(report["efficiency"])
  assert np.mean(labels) == pytest.approx(report["random_share"])
  assert len(labels) / rows == pytest.approx(report["examples_per_row"])
  assert report["num_packs"] == pipeline.num_packs
  assert pipeline.epoch(rows) == pytest.approx(1.0)
  off = make(small, cell=("segment_pair", "off")).report()
  assert off["random_share"] == off["random_token_share"] == 0
  assert json.loads(json.dumps(report)) == report


def test_statistics_read_a_bounded_part_of_the_index(made, monkeypatch):
  planned = []
  plan = Planner.examples
  monkeypatch.setattr(
    Planner, "examples", lambda *args: planned.append(args[1:]) or plan(*args)
  )
  make(made).report()
  assert len(planned) <= 4 < made.split("train").num_blocks


@pytest.mark.parametrize("start", [0, 37])
def test_the_iterator_gives_the_batches_of_its_steps(start, made):
  pipeline = make(made)
  rows = slice(2, 9)
  with train_iterator(pipeline, start, prefetch=3, rows=rows) as batches:
    for step in range(start, start + 8):
      assert_equal(next(batches), make(made).batch(step, rows))
  with pytest.raises(ValueError, match="closed"):
    next(batches)


def test_worker_processes_give_the_same_batches_and_teach_the_memo(small):
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(["test"])  # grain refuses to start processes before
  pipeline = make(small)
  batches = train_iterator(pipeline, 60, workers=2, prefetch=2)
  try:
    for step in range(60, 66):
      assert_equal(next(batches), make(small).batch(step))
  finally:
    batches.close()
  slow = make(small)
  slow.batch(65)
  assert pipeline.memo(65) == slow.memo(65)


def test_a_pickled_pipeline_gives_the_same_batches(made):
  pipeline = make(made)
  pipeline.batch(30)
  copy = pickle.loads(pickle.dumps(pipeline))
  assert_equal(copy.batch(31), pipeline.batch(31))
  assert copy.memo(31) == pipeline.memo(31)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("records", [1, 3, 40])
def test_a_small_cache_changes_no_batch(records, cell, made):
  pipeline, frugal = make(made, cell=cell), make(made, cell=cell)
  size = records * MAX_RECORD * made.split("train").dtype.itemsize
  frugal._reader = token_reader.TokenReader(made.split("train"), size)
  for step in (0, 1, 30, 2):
    assert_equal(frugal.batch(step), pipeline.batch(step))
  assert len(frugal._reader._tokens) == records


def test_mistakes_are_refused_in_one_line(made, small):
  cases = [
    (lambda: make(made, batch_size=0), "batch_size=0"),
    (lambda: make(made, max_packs=-1), "max_packs=-1"),
    (lambda: make(made, max_packs=SEQ), f"max_packs={SEQ}"),
    (lambda: make(made).batch(-1), "step=-1"),
    (lambda: make(made).batch(0, slice(0, 8, 2)), "stride"),
    (lambda: evaluate(small), "no split 'validation'"),
    (lambda: evaluate(made, batch_size=0), "batch_size=0"),
    (
      lambda: train_iterator(make(made), 0, workers=-1),
      "workers=-1",
    ),
  ]
  for call, message in cases:
    with pytest.raises(ValueError, match=message) as raised:
      call()
    assert "\n" not in str(raised.value)
