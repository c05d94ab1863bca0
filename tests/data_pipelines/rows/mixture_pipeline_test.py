# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of mixtures: exact shares of what each store gives by itself."""

import json
import pickle

import numpy as np
import pytest
from absl import flags

from bertjax.batch import PRETRAINING_FEATURES, check_batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.mixture import open_mixture
from data_pipelines.rows.mixture_pipeline import place_rows
from data_pipelines.rows.pipeline import PretrainingPipeline, train_iterator
from data_pipelines.rows.planner import Planner
from tests.testing.batches import assert_equal
from tests.testing.mixtures import BATCH, SEQ, SHARES, make, opened


def alone(folder, name, batch_size, max_packs):
  return PretrainingPipeline(
    open_mixture(DataConfig(store=str(folder / name))).members[0].store,
    "train",
    objective=ObjectiveConfig(),
    data=DataConfig(seq_length=SEQ, max_packs=max_packs),
    batch_size=batch_size,
    seed=0,
  )


def test_rows_are_those_of_each_store_by_itself_in_order(folder):
  pipeline = make(folder)
  names = list(pipeline.members)
  rows = [pipeline.members[name].batch_size for name in names]
  places = place_rows(rows)
  own = {
    name: alone(folder, name, count, pipeline.num_packs)
    for name, count in zip(names, rows, strict=True)
  }
  for step in (0, 1, 17, 60):
    batch = pipeline.batch(step)
    check_batch(batch, PRETRAINING_FEATURES)
    assert len(batch["tokens_BS"]) == BATCH
    for name, at in zip(names, places, strict=True):
      part = {key: array[at] for key, array in batch.items()}
      assert_equal(part, own[name].batch(step))


def test_every_batch_has_the_exact_share_of_each_store(folder):
  for batch_size in (13, 64, 1000):
    rows = opened(folder).rows(batch_size)
    assert sum(rows.values()) == batch_size
    for name, share in SHARES.items():
      assert abs(rows[name] - share * batch_size) < 1
  # The largest remainder goes up, of 4.2, 2.1 and 0.7.
  assert opened(folder).rows(7) == {"long": 4, "short": 2, "other": 1}
  # Tenths are tenths, and weights are scaled to add up to 1.
  tenths = opened(folder, {"long": 0.7, "short": 0.2, "other": 0.1}).rows(10)
  assert tenths == {"long": 7, "short": 2, "other": 1}
  assert opened(folder, {"long": 14, "short": 4, "other": 2}).rows(10) == tenths


@pytest.mark.parametrize(
  "rows", [[1], [7, 3], [5, 5], [64, 63, 1], [1, 1, 9], [60, 20, 4]]
)
def test_each_store_is_spread_evenly_over_the_batch(rows):
  total = sum(rows)
  places = place_rows(rows)
  assert sorted(np.concatenate(places).tolist()) == list(range(total))
  for count, at in zip(rows, places, strict=True):
    assert len(at) == count
    assert (np.diff(at) > 0).all()
    # Any part of the batch has its share, to a row for each store.
    before = np.searchsorted(at, np.arange(total + 1))
    exact = np.arange(total + 1) * count / total
    assert np.abs(before - exact).max() <= len(rows) / 2 + 0.5


def test_any_part_of_a_batch_is_that_part_of_the_whole(folder):
  for step in (0, 23):
    whole = make(folder).batch(step)
    for rows in (slice(0, 4), slice(4, 9), slice(9, 13), slice(6, 6)):
      part = make(folder).batch(step, rows)
      check_batch(part, PRETRAINING_FEATURES)
      assert_equal(part, {name: each[rows] for name, each in whole.items()})


def test_a_store_gives_rows_of_many_blocks_whatever_their_number(folder):
  pipeline = make(folder, {"long": 0.7, "short": 0.3}, batch_size=16)
  for each in pipeline.members.values():
    assert each.report()["lanes"] == min(each.batch_size, blocks_of(each))
  assert pipeline.report()["lanes"] == min(
    each.report()["lanes"] for each in pipeline.members.values()
  )


def blocks_of(pipeline):
  return pipeline._planner.split.num_blocks


def test_a_host_plans_only_what_its_rows_need(folder, monkeypatch):
  planned = []
  plan = Planner.rows
  monkeypatch.setattr(
    Planner, "rows", lambda *args: planned.append(args[1:]) or plan(*args)
  )
  # A row of each store, which has twice as many blocks or more.
  pipeline = make(folder, {"long": 0.5, "short": 0.5}, batch_size=2)
  planned.clear()
  pipeline.batch(0)
  assert len(planned) == 2


def test_any_order_of_steps_and_copies_give_the_same_batches(folder):
  expected = {step: make(folder).batch(step) for step in range(0, 90, 11)}
  pipeline = make(folder)
  for step in np.random.default_rng(0).permutation(list(expected) * 2).tolist():
    assert_equal(pipeline.batch(step), expected[step])
  copy = pickle.loads(pickle.dumps(pipeline))
  assert_equal(copy.batch(22), expected[22])
  assert copy.memo(22) == pipeline.memo(22)


def test_how_a_mixture_is_written_changes_no_batch(folder):
  backwards = dict(reversed(SHARES.items()))
  assert_equal(make(folder, backwards).batch(5), make(folder).batch(5))
  scaled = {name: 10 * share for name, share in SHARES.items()}
  assert_equal(make(folder, scaled).batch(5), make(folder).batch(5))
  assert opened(folder, backwards).sha256 == opened(folder).sha256
  # Where two stores want the same position, too.
  equal = [
    make(folder, dict.fromkeys(names, 1), batch_size=8).batch(5)
    for names in (("long", "short"), ("short", "long"))
  ]
  assert_equal(*equal)


def test_one_store_of_any_weight_is_that_store(folder):
  mixed = make(folder, {"long": 3})
  plain = alone(folder, "long", BATCH, 0)
  assert mixed.num_packs == plain.num_packs
  for step in (0, 31):
    assert_equal(mixed.batch(step), plain.batch(step))
  one = opened(folder, {"long": 3})
  assert one.sha256 == one.members[0].store.sha256
  assert mixed.report() == pytest.approx(plain.report())
  np.testing.assert_allclose(
    mixed.examples_by_length(), plain.examples_by_length()
  )
  assert mixed.epoch(31) == pytest.approx(plain.epoch(31))


def test_a_memo_changes_no_batch_and_saves_planning(folder, monkeypatch):
  planned = []
  plan = Planner.rows
  monkeypatch.setattr(
    Planner, "rows", lambda *args: planned.append(args[1:]) or plan(*args)
  )
  pipeline = make(folder)
  for step in range(150):
    pipeline.batch(step)
  memo = json.loads(json.dumps(pipeline.memo(120)))
  counts = []
  for known in (None, memo):
    resumed = make(folder)
    assert known is None or resumed.restore(known)
    planned.clear()
    assert_equal(resumed.batch(120), pipeline.batch(120))
    counts.append(len(planned))
    for step in (121, 150, 2):
      assert_equal(resumed.batch(step), pipeline.batch(step))
  assert counts[1] < counts[0]


@pytest.mark.parametrize(
  "changes",
  [
    {"seed": 1},
    {"batch_size": 14},
    {"max_packs": 2},
    {"shares": {"long": 0.5, "short": 0.4, "other": 0.1}},
    {"shares": {"long": 0.7, "short": 0.3}},
  ],
)
def test_a_memo_of_other_batches_is_ignored(folder, changes):
  pipeline = make(folder)
  pipeline.batch(40)
  other = make(folder, **changes)
  assert not other.restore(pipeline.memo(40))
  assert_equal(other.batch(40), make(folder, **changes).batch(40))


def test_worker_processes_give_the_same_batches_and_teach_the_memo(folder):
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(["test"])  # grain refuses to start processes before
  pipeline, plain = make(folder), make(folder)
  rows = slice(2, 9)
  with (
    train_iterator(pipeline, 60, workers=2, rows=rows) as remote,
    train_iterator(plain, 60, rows=rows) as local,
  ):
    for _ in range(5):
      assert_equal(next(remote), next(local))
  slow = make(folder)
  slow.batch(64, rows)
  assert pipeline.memo(64) == slow.memo(64)


def test_the_report_is_what_the_batches_show(folder):
  pipeline = make(folder)
  report = pipeline.report()
  epoch = round(pipeline.members["other"].report()["rows_per_epoch"])
  batches = [pipeline.batch(step) for step in range(epoch)]
  packs = sum(int(batch["packs_BS"].max(axis=1).sum()) for batch in batches)
  tokens = sum(int((batch["packs_BS"] > 0).sum()) for batch in batches)
  labels = sum(int((batch["pair_label_BR"] == 1).sum()) for batch in batches)
  rows = epoch * BATCH
  # Of one store these are not the rows that were measured, but others of some
  # hundred examples, whose mean length has an error of 2 %.
  close = lambda value: pytest.approx(value, rel=0.04)
  assert tokens / (rows * SEQ) == close(report["efficiency"])
  assert packs / rows == close(report["examples_per_row"])
  assert tokens / packs == close(report["mean_example_length"])
  # Three standard deviations of the 130 coins in the four blocks of `long`.
  assert abs(labels / packs - report["random_share"]) < 3 * 0.5 / 130**0.5
  assert json.loads(json.dumps(report)) == report
  assert pipeline.members["other"].epoch(epoch) == pytest.approx(1.0)
  passed = sum(
    each.epoch(epoch) * each.report()["rows_per_epoch"]
    for each in pipeline.members.values()
  )
  assert pipeline.epoch(epoch) == pytest.approx(
    passed / report["rows_per_epoch"]
  )


def test_the_report_of_stores_read_equally_often_is_that_of_their_text(folder):
  weights = {name: alone(folder, name, 4, 4).report() for name in SHARES}
  rows = {name: each["rows_per_epoch"] for name, each in weights.items()}
  pipeline = make(folder, rows, batch_size=100_000, max_packs=4)
  report = pipeline.report()
  total = {"rows": 0.0, "examples": 0.0, "tokens": 0.0}
  random = cut = added = 0.0
  for member in opened(folder).members:
    each, tokens = weights[member.name], member.store.split("train").num_tokens
    random += each["random_share"] * each["examples_per_epoch"]
    cut += each["truncated_share"] * tokens
    added += each["random_token_share"] * tokens
    total["tokens"] += tokens
    for name in ("rows", "examples"):
      total[name] += each[f"{name}_per_epoch"]
  close = lambda value: pytest.approx(value, rel=1e-3)
  assert report["random_share"] == close(random / total["examples"])
  assert report["truncated_share"] == close(cut / total["tokens"])
  assert report["random_token_share"] == close(added / total["tokens"])
  assert report["examples_per_row"] == close(total["examples"] / total["rows"])
  assert report["rows_per_epoch"] == pytest.approx(total["rows"])
  epochs = [each.epoch(7) for each in pipeline.members.values()]
  assert epochs == [close(pipeline.epoch(7))] * 3


def test_rows_of_short_texts_are_as_full_as_by_themselves(folder):
  """One R for all: that of the store that packs most."""
  pipeline = make(folder)
  most = {name: alone(folder, name, 4, 0) for name in SHARES}
  assert len({each.num_packs for each in most.values()}) > 1
  assert pipeline.num_packs == max(each.num_packs for each in most.values())
  for name, each in most.items():
    efficiency = pipeline.members[name].report()["efficiency"]
    assert efficiency >= each.report()["efficiency"]
  assert make(folder, max_packs=2).num_packs == 2
