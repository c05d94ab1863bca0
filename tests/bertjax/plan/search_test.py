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
  assert [remat for name, remat in tried if name == "zero1"] == [
    *("none", "attention", "dots", "full"),
  ]
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
