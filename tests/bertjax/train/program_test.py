# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How each phase computes, and the steps of a TPU, compiled without one."""

import dataclasses
import functools
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

from bertjax.batch import empty_batch
from bertjax.config import (
  ComputeConfig,
  DataConfig,
  OptimizerConfig,
  PhaseConfig,
  PretrainConfig,
)
from bertjax.objectives import pretraining
from bertjax.parallel import feeding
from bertjax.train import step
from bertjax.train.program import make_program, sharing
from tests.testing import tiny

ROOT = pathlib.Path(__file__).parents[3]


def test_a_phase_computes_as_its_own_config_says(monkeypatch):
  config = PretrainConfig(model=tiny.CONFIG)
  program = make_program(config, tiny.VOCABULARY)
  monkeypatch.setattr(
    pretraining, "pretraining_task", lambda model, *_, **__: model
  )
  for name in ("xla", "splash"):
    compute = ComputeConfig(attention=name, unroll=2)
    phase = dataclasses.replace(config, compute=compute)
    model: Any = program.for_phase(phase).task()
    assert model.compute == compute
  with pytest.raises(AssertionError, match="not resolved"):
    program.for_phase(config).task()


RUN = PretrainConfig(
  steps=3,
  batch_size=8,
  seed=3,
  model=dataclasses.replace(tiny.CONFIG, num_layers=1, hidden_dropout_rate=0.3),
  data=DataConfig(seq_length=16, max_packs=2),
  compute=ComputeConfig(attention="xla"),
  optimizer=OptimizerConfig(warmup_steps=1),
)


def with_schedule(**fields):
  optimizer = dataclasses.replace(RUN.optimizer, **fields)
  return dataclasses.replace(RUN, optimizer=optimizer)


def make_small(config):
  """Compile for one device, which takes a third of the time of eight."""
  return make_program(config, tiny.VOCABULARY, jax.devices()[:1])


def run(config, constant=False):
  """Return the train step and the parameters after two steps."""
  program = make_small(config)
  phase, state = program.for_phase(config), program.make_state()
  one = phase.train_step
  if constant:
    options = step.StepOptions(seed=config.seed, schedule=program.schedule)
    one = step.make_train_step(
      phase.task(),
      program.optimizer,
      program.mesh,
      program.abstract_state(),
      options,
    )
  shapes = {"B": config.batch_size, "S": 16, "R": 2}
  batch = empty_batch(pretraining.FEATURES, shapes)
  batch["tokens_BS"] += tiny.VOCABULARY.ordinary_W[0]
  batch["packs_BS"] += 1
  for _ in range(2):
    state, _ = one(state, feeding.put_batch(batch, program.mesh))
  return phase.train_step, jax.device_get(state.params)


@functools.cache
def run_alone(config):
  return run(config)


def test_inputs_change_no_bit():
  """A run of an earlier version, whose inputs were constants, goes on."""
  _, params = run_alone(RUN)
  _, before = run(RUN, constant=True)
  _, other = run_alone(dataclasses.replace(RUN, seed=4))
  jax.tree.map(np.testing.assert_array_equal, params, before)
  pairs = zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True)
  assert any(np.any(one != two) for one, two in pairs)


def test_runs_of_other_seeds_share_what_is_compiled():
  alone = [run_alone(dataclasses.replace(RUN, seed=seed)) for seed in (3, 4)]
  with sharing():
    together = [run(dataclasses.replace(RUN, seed=seed)) for seed in (3, 4)]
    power = dataclasses.replace(
      RUN.optimizer, schedule="polynomial", schedule_power=2.0
    )
    bent, _ = run(dataclasses.replace(RUN, optimizer=power))
  one, two = (each.jitted for each, _ in together)
  assert one is two
  assert one._cache_size() == 1
  assert bent.jitted is not one, "its schedule is of another kind"
  assert alone[0][0].jitted is not alone[1][0].jitted
  for (_, params), (_, wanted) in zip(together, alone, strict=True):
    jax.tree.map(np.testing.assert_array_equal, params, wanted)


def test_static_and_dynamic_masks_are_of_one_program():
  """They differ in the keys of examples, which a batch brings."""
  configs = [
    dataclasses.replace(
      RUN,
      objective=dataclasses.replace(RUN.objective, static_copies=copies),
    )
    for copies in (0, 10)
  ]

  def step_of(config):
    return make_program(config, tiny.VOCABULARY).for_phase(config).train_step

  with sharing():
    dynamic, static = map(step_of, configs)
  assert dynamic.jitted is static.jitted


def test_a_sweep_of_schedules_compiles_one_step(caplog):
  """Also where a run has two schedules, each with numbers of its own."""
  runs = [
    with_schedule(learning_rate=1e-3),
    with_schedule(learning_rate=3e-3),
    with_schedule(warmup_steps=0),
    dataclasses.replace(RUN, steps=40),
  ]
  second = [
    dataclasses.replace(
      RUN,
      steps=9,
      phase2=PhaseConfig(
        steps=steps, seq_length=16, learning_rate=rate, max_packs=2
      ),
    )
    for steps, rate in ((8, 1e-3), (7, 2e-3))
  ]
  alone = run(runs[1])[1]
  caplog.clear()
  with sharing(), jax.log_compiles():
    found = [run(config) for config in runs]
    one, two = (
      make_small(config).for_phase(config).train_step for config in second
    )
  said = [record.getMessage() for record in caplog.records]
  compiled = [line for line in said if "Compiling jit(train_step)" in line]
  assert len(compiled) == 1
  assert one.jitted is two.jitted
  assert one.jitted is not found[0][0].jitted
  jax.tree.map(np.testing.assert_array_equal, found[1][1], alone)
  leaves = [jax.tree.leaves(params)[0].tobytes() for _, params in found]
  assert len({*leaves}) == len(leaves), "each trains at its own rates"


# Prints which of a train step's and an evaluation's kernels are there.
COMPILE = """
from bertjax.plan import environment
from bertjax.plan.hardware import topologies
environment.set_environment()
import dataclasses, jax, sys
from bertjax.train import step
from bertjax.config import *
from bertjax.plan.vocabulary import make_vocabulary
from bertjax.train.program import make_program
model = dataclasses.replace(
  SIZES["base"],
  num_layers=2,
  vocab_size=30592,
  attention_dropout_rate=0.0,
  attention_pattern=sys.argv[2],
)
config = PretrainConfig(
  batch_size=16,
  model=model,
  data=DataConfig(seq_length=512, max_packs=3),
  compute=ComputeConfig("bfloat16", attention="splash", dropout_rng="rbg"),
  mesh=MeshConfig(**eval(sys.argv[1])),
)
devices = topologies.get_devices(topologies.find("v5e:2x2"))
program = make_program(config, make_vocabulary(), devices)
phase = program.for_phase(config)
state, batch = program.abstract_state(), phase.abstract_batch()
train = phase.train_step.lower(state, batch).compile()
evaluate = step.make_eval_step(phase.task(), program.mesh)
evaluate = evaluate.lower(state.params, batch)
print(train.as_text(), "=====", evaluate.compile().as_text())
"""


@pytest.mark.full
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="libtpu is not installed: pip install 'bertjax[plan]'",
)
@pytest.mark.parametrize(
  ("mesh", "pattern"),
  [
    ({"zero1": True}, "full"),
    ({"fsdp": 2, "tensor": 2}, "full"),
    ({"fsdp": 2}, "window"),
  ],
  ids=str,
)
def test_a_tpu_trains_and_evaluates_with_splash(mesh, pattern):
  hidden = ("XLA_FLAGS", "JAX_PLATFORMS")
  environment = {k: v for k, v in os.environ.items() if k not in hidden}
  done = subprocess.run(
    [sys.executable, "-c", COMPILE, repr(mesh), pattern],
    cwd=ROOT,
    env=environment | {"ALLOW_MULTIPLE_LIBTPU_LOAD": "1"},
    capture_output=True,
    text=True,
    timeout=1800,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  train, evaluation = done.stdout.split("=====")
  # Heads of one device.
  heads = 12 // mesh.get("tensor", 1)
  kernel = rf"%splash_mha_{{}}_segmented\S* = .*bf16\[\d+,{heads},512,64\]"
  for text, phase in ((train, "fwd"), (train, "dkv"), (evaluation, "fwd")):
    assert re.search(kernel.format(phase), text), phase
  assert "dkv" not in re.findall(r"splash_mha_(\w{3})", evaluation)
  # One kernel for layers that attend to everything, and one for the others.
  for text, phase in ((train, "fwd"), (train, "dkv"), (evaluation, "fwd")):
    count = len(re.findall(kernel.format(phase), text))
    assert count == (2 if pattern == "window" else 1), phase
