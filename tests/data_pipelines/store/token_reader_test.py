# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of reading tokens: any range, any cache, few records."""

import pickle

import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from data_pipelines.rows.planner import Planner
from data_pipelines.store.layout import MAX_RECORD
from data_pipelines.store.token_reader import TokenReader
from tests.testing import synthetic


@pytest.fixture(scope="module")
def split(tmp_path_factory):
  return synthetic.make_store(
    tmp_path_factory.mktemp("reader") / "made",
    {"train": synthetic.draw_documents(300)},
    block_tokens=5_000,
    record_tokens=200,
    shard_tokens=10_000,
  ).split("train")


def cache(split, records):
  return records * MAX_RECORD * split.dtype.itemsize


def draw_ranges(split, seed, longest=450):
  rng = np.random.default_rng(seed)
  address = rng.integers(0, split.num_tokens - longest, 50)
  return address, rng.integers(1, longest, 50)


def literal(address, length):
  return np.concatenate(
    [
      np.arange(first, first + count) + synthetic.FIRST
      for first, count in zip(address, length, strict=True)
    ]
  )


@pytest.mark.parametrize("records", [1, 2, 7, 60, 10_000])
def test_ranges_are_read_whole_whatever_is_kept(records, split):
  reader = TokenReader(split, cache(split, records))
  for seed in range(20):
    address, length = draw_ranges(split, seed)
    passing = np.random.default_rng(seed).random(50) < 0.5
    tokens = reader.gather(address, length, passing_K=passing)
    np.testing.assert_array_equal(tokens, literal(address, length))
    assert len(reader._tokens) <= records
  copy = pickle.loads(pickle.dumps(reader))
  address, length = draw_ranges(split, 20)
  np.testing.assert_array_equal(
    copy.gather(address, length), literal(address, length)
  )


@pytest.mark.parametrize("records", [1, 10_000])
def test_places_around_a_range_are_left(records, split):
  reader = TokenReader(split, cache(split, records))
  address, length = draw_ranges(split, 0)
  # Also at both ends of the split, where nothing lies around.
  address[:2], length[:2] = (0, split.num_tokens - 30), 30
  before = np.random.default_rng(1).integers(0, 3, 50)
  after = np.random.default_rng(2).integers(0, 900, 50)
  tokens = reader.gather(address, length, before_K=before, after_K=after)
  room = before + length + after
  assert len(tokens) == room.sum()
  first = np.cumsum(room) - room + before
  inside = np.concatenate(
    [np.arange(f, f + n) for f, n in zip(first, length, strict=True)]
  )
  np.testing.assert_array_equal(tokens[inside], literal(address, length))


def test_text_that_lanes_walk_through_outlasts_random_partners(
  split, monkeypatch
):
  reader = TokenReader(split, cache(split, 20))
  own = np.arange(10) * 190
  reader.gather(own, np.full(10, 5))
  read = []
  real = type(split).read_records
  monkeypatch.setattr(
    type(split),
    "read_records",
    lambda self, records: read.extend(records) or real(self, records),
  )
  for seed in range(30):
    # More records than there is room for, a few at a time.
    address, length = draw_ranges(split, seed, longest=20)
    for part in np.arange(40).reshape(10, 4):
      reader.gather(address[part], length[part], passing_K=np.ones(4, bool))
    before = len(read)
    reader.gather(own, np.full(10, 5))
    assert len(read) == before
  assert len(read) > 300


def test_a_random_partner_is_in_two_records_at_most(tmp_path):
  """With records of the usual size; they hold whole sentences."""
  made = synthetic.make_store(
    tmp_path / "usual",
    {"train": synthetic.draw_documents(500, sentences=40)},
  )
  split = made.split("train")
  assert split.num_records > 15
  planner = Planner(
    made,
    "train",
    objective=ObjectiveConfig(next_sentence="nsp"),
    seq_length=512,
    max_packs=0,
    seed=0,
  )
  touched = []
  for block in range(split.num_blocks):
    examples = planner.examples(0, block)
    label_K = np.repeat(examples.labels_E, examples.segments_E)
    random = (label_K == 1) & (examples.type_K == 1)
    first = examples.address_K[random]
    last = first + examples.length_K[random] - 1
    starts = split.records[1]
    touched += (
      np.searchsorted(starts, last, "right")
      - np.searchsorted(starts, first, "right")
      + 1
    ).tolist()
  assert len(touched) > 100
  assert set(touched) == {1, 2}
