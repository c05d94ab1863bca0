# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A mistake is told in one line with its value and the fix."""

import dataclasses
import subprocess
import sys

import pytest

from bertjax.config import (
  SIZES,
  MeshConfig,
  OptimizerConfig,
  PretrainConfig,
  checks,
  choices,
  from_mapping,
)

WSD = {"optimizer.schedule": "warmup_stable_decay"}


def replaced(config, changes):
  """`config` with {"group.name": value} changed."""
  for path, value in changes.items():
    *groups, name = path.split(".")
    if groups:
      inner = dataclasses.replace(getattr(config, groups[0]), **{name: value})
      config = dataclasses.replace(config, **{groups[0]: inner})
    else:
      config = dataclasses.replace(config, **{name: value})
  return config


def check(changes, num_devices=8, vocab_size=30522):
  base = dataclasses.replace(PretrainConfig(), model=SIZES["base"])
  checks.check_pretrain(
    replaced(base, changes), num_devices=num_devices, vocab_size=vocab_size
  )


@pytest.mark.parametrize("size", SIZES)
def test_the_published_sizes_pass(size):
  config = dataclasses.replace(PretrainConfig(), model=SIZES[size])
  checks.check_pretrain(config, num_devices=8, vocab_size=30522)


@pytest.mark.parametrize(
  ("changes", "told"),
  [
    ({"mesh.data": 3}, r"data=3 .*multiply to 8 devices; give data=8"),
    ({"mesh.fsdp": 16}, r"fsdp=16 .*; give data=1 fsdp=8 tensor=1"),
    ({"mesh.data": 2, "mesh.fsdp": 2}, "give data=4 fsdp=2 tensor=1"),
    ({"mesh.fsdp": -1}, "at most one axis"),
    ({"mesh.tensor": 0}, "sizes of 1 or more"),
    ({"mesh.data": 4}, "give data=8 fsdp=1 tensor=1"),
    ({"mesh.slices": -1}, r"mesh\.slices=-1; give 0 to follow"),
    ({"mesh.slices": 3}, r"mesh\.data=8 cannot cross 3 slices"),
    ({"mesh.tensor": 8}, r"num_heads=12; give a divisor, such as 6"),
    ({"batch_size": 100}, r"batch_size=100 is not a multiple .* give 96"),
    ({"optimizer.accumulation": 3}, r"8 × 1 × 3 = 24; give 264"),
    ({"data.seq_length": 1024}, r"seq_length=1024 .*max_positions=512"),
    ({"model.vocab_size": 30000}, r"vocab_size=30000 .* vocabulary of 30522"),
    ({"model.num_heads": 7}, "num_heads=7 does not divide"),
    ({"model.hidden_dropout_rate": 1.0}, "hidden_dropout_rate=1.0"),
    ({"model.activation": "relu"}, "relu.*gelu, gelu_tanh"),
    ({"model.position_init": "zero"}, "zero.*normal, sinusoid"),
    ({"model.type_vocab_size": 1}, "type_vocab_size=1.*give 2"),
    ({"objective.mask_rate": 0.0}, "mask_rate=0.0"),
    ({"objective.mask_rate": 15.0}, "mask_rate=15.0"),
    ({"evaluation.mask_rate": 1.0}, r"evaluation\.mask_rate=1.0"),
    ({"profile.start_step": -1}, r"profile\.start_step=-1"),
    ({"profile.steps": 0}, r"profile\.steps=0"),
    (
      {"profile.start_step": 60, "steps": 50, "optimizer.warmup_steps": 1},
      r"start_step=60 is after the last of steps=50; give 1 to 50",
    ),
    ({"objective.random_token_rate": 0.3}, "add up to at most 1"),
    ({"objective.next_sentence": "yes"}, "'yes'; give one of off, nsp, sop"),
    ({"objective.input_format": "full_sentences"}, "needs pairs"),
    ({"optimizer.warmup_steps": 9, "steps": 5}, "warmup_steps=9 of steps=5"),
    ({"optimizer.learning_rate": 0.0}, "learning_rate=0.0"),
    ({"optimizer.name": "lam"}, "'lam'; give one of .*adamw_corrected, lamb"),
    ({"optimizer.schedule": "cosin"}, "'cosin'; give one of linear, linear_j"),
    ({"optimizer.schedule_power": -1.0}, "schedule_power=-1.0; give more"),
    (
      {**WSD, "optimizer.decay_rate": 0.0},
      r"decay_rate=0\.0; give more",
    ),
    ({**WSD, "optimizer.decay_rate": 1.0}, r"decay_rate=1\.0.* at most 0\.99"),
    ({**WSD, "steps": 10_000}, r"warmup_steps=10000 of steps=10000.*shorter"),
    ({"optimizer.beta2": 1.0}, "beta2=1.0"),
    ({"compute.dtype": "fp16"}, "'fp16'; give one of float32, bfloat16"),
    ({"compute.remat": "all"}, "none, attention, dots, full"),
    ({"compute.dropout_rng": "philox"}, "threefry, rbg"),
    ({"checkpoint.keep_last": 0}, "keep_last=0; give 1 or more"),
    ({"steps": 0}, "steps=0"),
    ({"seed": -1}, "seed=-1"),
  ],
)
def test_a_mistake_is_one_line_with_its_value(changes, told):
  with pytest.raises(ValueError, match=told) as caught:
    check(changes)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("schedule", choices(OptimizerConfig, "schedule"))
@pytest.mark.parametrize("name", choices(OptimizerConfig, "name"))
def test_every_optimizer_goes_with_every_schedule(name, schedule):
  check({"optimizer.name": name, "optimizer.schedule": schedule})


def test_a_decay_may_begin_where_warmup_ends():
  """0.9 of 10 steps leave 0.1 but for rounding."""
  check({**WSD, "steps": 10, "optimizer.warmup_steps": 9}, num_devices=1)


def test_a_mesh_axis_takes_what_is_left():
  assert checks.mesh_shape(MeshConfig(), 8) == (8, 1, 1)
  assert checks.mesh_shape(MeshConfig(data=2, fsdp=-1), 8) == (2, 4, 1)
  assert checks.mesh_shape(MeshConfig(data=2, fsdp=2, tensor=2), 8) == (2, 2, 2)


def test_a_table_is_padded_up_to_full_tiles():
  assert [checks.padded_vocab_size(size) for size in (1, 128, 129, 30522)] == [
    128,
    128,
    256,
    30592,
  ]


def test_a_field_that_does_not_exist_is_refused():
  with pytest.raises(ValueError, match="optimiser is no field"):
    from_mapping(PretrainConfig, {"optimiser": {}})


def test_checking_needs_no_jax():
  code = (
    "import sys, bertjax.config.checks, bertjax.config.identity;"
    " print('jax' in sys.modules)"
  )
  got = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert got.stdout == "False\n"
