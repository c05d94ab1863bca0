# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A batch is split into the fewest equal micro-batches that fit a device."""

import dataclasses

import pytest

from bertjax.config import (
  DataConfig,
  MeshConfig,
  OptimizerConfig,
  PhaseConfig,
  PretrainConfig,
)
from bertjax.config.accumulation import fit_batches

CONFIG = PretrainConfig(
  batch_size=96,
  positions_per_device=1024,
  data=DataConfig(seq_length=128),
  mesh=MeshConfig(data=2, fsdp=2),
)


def parts(**changes):
  config = dataclasses.replace(CONFIG, **changes)
  made = fit_batches(config, 4)
  return made.optimizer.accumulation, made.phase2.accumulation


@pytest.mark.parametrize("limit", [128, 500, 1024, 3071, 3072, 10**6])
def test_parts_fit_and_fewer_would_not(limit):
  (count, _) = parts(positions_per_device=limit)
  assert 24 % count == 0
  assert 24 // count * 128 <= limit
  fewer = [each for each in range(1, count) if 24 % each == 0]
  assert all(24 // each * 128 > limit for each in fewer)


def test_a_row_longer_than_the_limit_goes_alone():
  assert parts(positions_per_device=100)[0] == 24


def test_what_is_given_stays():
  assert fit_batches(
    dataclasses.replace(CONFIG, positions_per_device=0), 4
  ) == (dataclasses.replace(CONFIG, positions_per_device=0))
  assert parts(optimizer=OptimizerConfig(accumulation=2))[0] == 2
  phase2 = PhaseConfig(steps=9, seq_length=512, accumulation=6)
  assert parts(phase2=phase2) == (3, 6)


def test_a_second_phase_is_cut_for_its_own_length_and_batch():
  assert parts(phase2=PhaseConfig(steps=9, seq_length=512)) == (3, 12)
  assert parts(phase2=PhaseConfig(steps=9, seq_length=512, batch_size=8)) == (
    3,
    1,
  )


def test_a_batch_that_no_device_can_share_is_left_for_the_check():
  assert parts(batch_size=97)[0] == 1
