# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the batches: pure, whole, and the same for any host."""

import json
import pickle

import numpy as np
import pytest
from absl import flags

from bertjax.batch import PRETRAINING_FEATURES, check_batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.pipeline import PretrainingPipeline, train_iterator
from data_pipelines.rows.planner import Planner
from data_pipelines.store import token_reader
from data_pipelines.store.layout import MAX_RECORD
from tests.testing import synthetic
from tests.testing.batches import (
  CELLS,
  SEQ,
  assert_equal,
  evaluate,
  make,
  make_planner,
  packs,
)


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
  lengths = [len(pack["tokens"]) for batch in batches for pack in packs(batch)]
  expected = np.bincount(lengths, minlength=SEQ + 1) / rows
  np.testing.assert_allclose(pipeline.examples_by_length(), expected)
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


@pytest.mark.parametrize(
  ("name", "batch_size", "rows"),
  [("made", 4, 1), ("made", 130, 0), ("small", 12, 0)],
)
def test_a_report_says_how_many_rows_of_a_step_a_block_gives(
  name, batch_size, rows, request
):
  store = request.getfixturevalue(name)
  blocks = store.split("train").num_blocks
  report = make(store, batch_size=batch_size).report()
  assert report["lanes"] == min(batch_size, blocks)
  # Nothing where the rows of every block are taken all the time.
  assert report["rows_of_a_block"] == rows
