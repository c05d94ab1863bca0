# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a config leaves open is filled in once, from stores and devices."""

import dataclasses
import types

import jax
import pytest

from bertjax.config import (
  ComputeConfig,
  DataConfig,
  OptimizerConfig,
  PhaseConfig,
  PretrainConfig,
)
from launch.run.assembly import assemble
from launch.run.resolve import MadeUpStores, resolve
from tests.testing import corpus, tiny

STORES = MadeUpStores(vocab_size=100, max_packs=3)
PHASES = PretrainConfig(
  steps=10,
  batch_size=16,
  model=dataclasses.replace(
    tiny.CONFIG,
    vocab_size=0,
    max_positions=1024,
    hidden_dropout_rate=0.0,
    attention_dropout_rate=0.0,
  ),
  optimizer=OptimizerConfig(warmup_steps=0),
  data=DataConfig(store="made up", seq_length=128),
  positions_per_device=256,
  phase2=PhaseConfig(steps=5, seq_length=512),
)


def made_up_devices(kind, platform, count=4):
  device = types.SimpleNamespace(platform=platform, device_kind=kind)
  return [device] * count


TPUS = made_up_devices("TPU v5 lite", "tpu")


def with_attention(name, seq_length=512):
  phase2 = dataclasses.replace(PHASES.phase2, seq_length=seq_length)
  compute = ComputeConfig(attention=name)
  return dataclasses.replace(PHASES, compute=compute, phase2=phase2)


def test_everything_open_is_filled_in():
  resolved = resolve(PHASES, STORES, None, TPUS)
  config = resolved.config
  assert config.model.vocab_size == 128, "full tiles"
  assert (config.data.max_packs, config.phase2.max_packs) == (3, 3)
  # 4 rows of 128 a device, and of 512; 256 positions at once, or one row.
  assert config.optimizer.accumulation == 2
  assert config.phase2.accumulation == 4
  assert config.phase2.batch_size == config.batch_size
  for phase in resolved.phases:
    assert phase.config.model == config.model
  assert [phase.config.data.max_packs for phase in resolved.phases] == [3, 3]


@pytest.mark.parametrize("devices", [TPUS, jax.devices()[:2]], ids=str)
def test_resolving_again_changes_nothing(devices):
  once = resolve(PHASES, STORES, None, devices)
  assert once.config != PHASES
  others = MadeUpStores(vocab_size=100, max_packs=7)
  assert resolve(once.config, others, None, devices) == once
  for phase in once.phases:
    alone = dataclasses.replace(phase.config, phase2=PhaseConfig())
    (again,) = resolve(alone, others, None, devices).phases
    assert again.config == alone


def test_what_is_given_stays():
  given = dataclasses.replace(
    PHASES,
    model=dataclasses.replace(PHASES.model, vocab_size=256),
    data=dataclasses.replace(PHASES.data, max_packs=2),
    optimizer=dataclasses.replace(PHASES.optimizer, accumulation=4),
  )
  config = resolve(given, STORES, None, TPUS).config
  assert config.model == given.model
  assert config.data == given.data
  assert config.optimizer == given.optimizer


@pytest.mark.parametrize(
  ("tokens", "rows", "expected"), [(100, 120, 120), (300, 120, 384)]
)
def test_the_vocabulary_keeps_the_rows_of_its_origin(tokens, rows, expected):
  origin = dataclasses.replace(PHASES.model, vocab_size=rows)
  resolved = resolve(PHASES, MadeUpStores(tokens), origin, TPUS)
  assert resolved.config.model.vocab_size == expected


def test_each_phase_has_the_kernel_of_its_length():
  kernels = [
    phase.config.compute.attention
    for phase in resolve(with_attention("auto"), STORES, None, TPUS).phases
  ]
  assert kernels == ["xla", "splash"]


def test_devices_of_a_kind_are_alike_whether_made_up_or_real():
  real = jax.devices()[:4]
  made_up = made_up_devices(real[0].device_kind, real[0].platform)
  ours = resolve(PHASES, STORES, None, real)
  assert ours == resolve(PHASES, STORES, None, made_up)


def test_a_kernel_that_the_devices_lack_is_refused():
  with pytest.raises(ValueError, match="v4 on only, and this is cpu; give"):
    resolve(with_attention("splash"), STORES, None, jax.devices())


def test_an_error_in_phase_2_names_its_own_fields():
  with pytest.raises(ValueError, match=r"phase2\.seq_length=600; give 640"):
    resolve(
      dataclasses.replace(
        with_attention("splash", 600),
        data=DataConfig(store="made up", seq_length=512),
      ),
      STORES,
      None,
      TPUS,
    )


def test_a_run_resolves_as_made_up_stores_do(tmp_path):
  """So that a plan with the store's numbers is the plan of the run."""
  store = corpus.make_store(tmp_path)
  config = corpus.make_config(store)
  spec = assemble(config)
  made_up = MadeUpStores(spec.stores.vocab_size, spec.config.data.max_packs)
  assert resolve(config, made_up, None, jax.devices()) == spec.resolved
  assert [phase.config for phase in spec.phases] == [
    phase.config for phase in spec.resolved.phases
  ]
