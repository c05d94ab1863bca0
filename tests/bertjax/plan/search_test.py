# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Searches whose compiles are made up."""

import dataclasses

import pytest

from bertjax.config import SIZES, DataConfig, PhaseConfig, PretrainConfig
from bertjax.plan import search
from bertjax.plan.hardware.topologies import find
from bertjax.plan.results import Candidate

CONFIG = PretrainConfig(
  batch_size=16,
  model=dataclasses.replace(SIZES["tiny"], vocab_size=30_592),
  data=DataConfig(max_packs=1),
)
V5E = find("v5e:2x4")


@pytest.mark.parametrize("fixed", [0, 30, 300])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("slope", [1, 7, 45, 300, 600])
def test_a_search_finds_the_largest_batch_that_fits(fixed, known, slope):
  tried = []

  def attempt(rows):
    tried.append(rows)
    needed = fixed + slope * rows
    fits = needed <= 1000
    return Candidate(
      sharding="data",
      remat="none",
      fits=fits,
      batch_size=rows,
      rows_per_chip=rows,
      needed=needed if fits or known else None,
      limit=1000,
    )

  found = search.largest(attempt, 4)
  most = (1000 - fixed) // slope
  most = most // 2 * 2 if most >= 8 else most
  assert len(tried) <= 7
  assert len(set(tried)) == len(tried)
  if most < 1:
    assert not found.fits
  else:
    assert found.batch_size == most


def test_a_search_tries_what_divides_the_mesh():
  tried = [(name, remat) for name, _, remat in search.candidates(CONFIG, V5E)]
  assert ("tensor=2", "none") in tried
  for sharding in ("data", "zero1", "fsdp", "tensor=2"):
    assert [remat for name, remat in tried if name == sharding] == [
      *("none", "attention", "dots", "full"),
    ]
  # A search that is cut short has tried each sharding.
  assert {remat for _, remat in tried[:4]} == {"none"}
  model = dataclasses.replace(CONFIG.model, num_heads=1)
  odd = dataclasses.replace(CONFIG, model=model)
  assert "tensor=2" not in [name for name, *_ in search.candidates(odd, V5E)]


def test_a_search_is_for_the_last_phase():
  config = dataclasses.replace(
    CONFIG, phase2=PhaseConfig(steps=10, seq_length=512, max_packs=2)
  )
  smallest = search.smallest_run(config, V5E)
  assert smallest.data.seq_length == 512
  assert smallest.phase2 == PhaseConfig()
  assert smallest.batch_size == 8


def make_attempt(tried, limit=100, each=1):
  """Rows of a micro-batch need memory, and so do sums over several."""

  def attempt(rows, accumulation=1):
    tried.append((rows, accumulation))
    needed = rows + each * (accumulation > 1)
    return Candidate(
      sharding="data",
      remat="none",
      fits=needed <= limit,
      batch_size=8 * rows * accumulation,
      rows_per_chip=rows * accumulation,
      needed=needed,
      limit=limit,
      rows=rows,
      accumulation=accumulation,
    )

  return attempt


@pytest.mark.parametrize(
  ("batch_size", "rows", "accumulation"),
  [
    (8 * 64, 64, 1),  # it fits at once
    (8 * 128, 64, 2),
    (8 * 200, 50, 4),  # 100 rows fit, but not beside the sums
    (8 * 210, 70, 3),
    (8 * 100, None, None),  # the largest batch is this one
    (8 * 100 + 1, None, None),  # no whole rows on each device
  ],
)
def test_the_batch_that_is_given_is_cut_into_the_fewest_micro_batches(
  batch_size, rows, accumulation
):
  tried = []
  attempt = make_attempt(tried)
  found = search.split_batch(attempt, attempt(100), batch_size)
  got = [(each.rows, each.accumulation) for each in found]
  assert got == ([] if rows is None else [(rows, accumulation)])
  for each in found:
    assert each.batch_size == batch_size
  assert len(tried) <= 5


def test_a_search_ends_in_time_and_says_what_it_left_out(monkeypatch):
  clock = iter(range(0, 10_000, 60))  # a minute passes with each look at it
  monkeypatch.setattr(search.time, "monotonic", lambda: next(clock))
  monkeypatch.setattr(search, "get_devices", lambda _: [])
  attempt = make_attempt([])
  monkeypatch.setattr(
    search, "_attempt", lambda sharding, config, *_: attempt(_[-1])
  )
  found, notes = search.search(CONFIG, V5E, minutes=3)
  assert len(found) == 3
  assert len(notes) == len(list(search.candidates(CONFIG, V5E))) - 3
  assert "--search_minutes" in notes[0]
