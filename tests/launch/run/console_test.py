# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run prints before its first step."""

import dataclasses
import pathlib
import types
from typing import Any

import jax
import pytest

from bertjax.config import (
  ComputeConfig,
  MeshConfig,
  ModelConfig,
  PretrainConfig,
  ProfileConfig,
)
from bertjax.train.program import make_program
from launch.run.console import (
  describe_config,
  describe_mesh,
  describe_start,
)
from tests.testing import tiny


def lines(mesh, devices=8, rng="threefry", draws="uint16", rate=0.0):
  config = PretrainConfig(
    model=dataclasses.replace(tiny.CONFIG, attention_dropout_rate=rate),
    mesh=mesh,
    compute=dataclasses.replace(
      ComputeConfig(), dropout_rng=rng, dropout_draws=draws
    ),
  )
  config = dataclasses.replace(
    config, data=dataclasses.replace(config.data, seq_length=tiny.LENGTH)
  )
  program = make_program(config, tiny.VOCABULARY, jax.devices()[:devices])
  return list(describe_mesh(program, program.abstract_state().params))


@pytest.mark.parametrize(
  ("rng", "reproducible"), [("threefry", "any mesh"), ("rbg", "the same mesh")]
)
def test_mesh_and_dropout_are_described(rng, reproducible):
  first, second = lines(MeshConfig(data=4, tensor=2), rng=rng)
  assert "on 8 cpu (data 4 × fsdp 1 × tensor 2) of 1 process" in first
  assert reproducible in second


def test_a_rate_that_draws_round_is_told():
  (line,) = lines(MeshConfig(data=8), draws="uint8", rate=0.1)[2:]
  assert line.startswith(
    "dropout_draws=uint8: model.attention_dropout_rate=0.1 is 0.101562; what "
  )
  for draws, rate in (("uint16", 0.1), ("uint8", 0.25)):
    assert len(lines(MeshConfig(data=8), draws=draws, rate=rate)) == 2


def test_parameters_that_zero1_leaves_whole_are_counted():
  """Seven devices divide no axis of the model; eight nearly all."""
  *_, last = lines(MeshConfig(data=7, zero1=True), devices=7)
  assert "100% of the parameters are whole" in last
  assert "mesh.data=7" in last
  assert len(lines(MeshConfig(data=8, zero1=True))) == 2


@pytest.mark.parametrize(
  ("first", "start", "late"),
  [(3, 3, True), (3, 2, False), (1, 9, True), (0, 9, False)],
)
def test_a_trace_that_comes_too_late_is_reported(first, start, late):
  config = PretrainConfig(profile=ProfileConfig(start_step=first))
  spec: Any = types.SimpleNamespace(
    config=config, phases=[types.SimpleNamespace(evaluation={"store": 1})]
  )
  lines = list(describe_start(spec, start))
  assert len(lines) == 1 + late
  assert (
    f"profile.start_step={first} is already done: nothing is traced" in lines
  ) == late


def test_chosen_fields_and_those_that_are_not_defaults_are_printed():
  given = PretrainConfig(steps=6, model=ModelConfig(vocab_size=0, num_layers=2))
  used = dataclasses.replace(
    given, model=dataclasses.replace(given.model, vocab_size=128)
  )
  spec: Any = types.SimpleNamespace(given=given, config=used)
  first, *lines = describe_config(spec, pathlib.Path("w/config.json"))
  assert "w/config.json" in first
  assert lines == [
    "  steps=6",
    "  model: num_layers=2, vocab_size=128 (chosen)",
  ]
