# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches that the phases of a run take from its stores."""

import dataclasses

import jax
import numpy as np

from bertjax.config import DataConfig
from data_pipelines.store.store import open_store
from launch.preflight.store import measure_store
from launch.run import assembly
from tests.testing import corpus


def test_the_second_phase_draws_anew(two_phases):
  """Not the masks and partners that the first began with."""
  second = dataclasses.replace(two_phases.phase2, seq_length=24, batch_size=16)
  phases = assembly.assemble(
    dataclasses.replace(two_phases, phase2=second)
  ).phases
  keys = [
    {tuple(key) for key in phase.pipeline.batch(0)["key_BR2"].reshape(-1, 2)}
    for phase in phases
  ]
  assert keys[0] & keys[1] <= {(0, 0)}


def test_a_border_that_moves_is_not_the_same_rows_again(two_phases):
  longer = dataclasses.replace(two_phases, steps=two_phases.steps + 1)
  keys = [
    assembly.assemble(each).phases[1].pipeline.batch(0)["key_BR2"]
    for each in (two_phases, longer)
  ]
  assert not np.array_equal(keys[0], keys[1])


def test_the_bundle_of_one_store_says_its_tokens_a_word(two_phases):
  spec = assembly.assemble(two_phases)
  figures = measure_store(open_store(two_phases.data.store))
  assert spec.describe_stores()["tokens_per_word"] == figures.fertility


def test_one_store_has_the_identity_of_that_store(mixture, stores):
  plain, one = (
    assembly.assemble(dataclasses.replace(mixture, data=data))
    for data in (
      DataConfig(store=stores["wiki"], seq_length=24),
      corpus.mixed(stores, wiki=2),
    )
  )
  assert one.identity == plain.identity
  assert not any("stores" in name for name in plain.identity)
  for left, right in zip(one.phases, plain.phases, strict=True):
    jax.tree.map(
      np.testing.assert_array_equal,
      left.pipeline.batch(3),
      right.pipeline.batch(3),
    )
