# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The formula against the products of the compiled step, for every choice."""

import dataclasses

import jax
import numpy as np
import pytest

from bertjax.batch import Vocabulary
from bertjax.config import (
  ComputeConfig,
  DataConfig,
  MeshConfig,
  ObjectiveConfig,
  PretrainConfig,
)
from bertjax.plan import compiling, counting
from bertjax.plan.hlo import parsing, products
from bertjax.train.program import make_program
from tests.testing.choices import CONFIGS

LENGTH = 32


def config_of(name):
  model = dataclasses.replace(CONFIGS[name], vocab_size=128)
  return PretrainConfig(
    steps=20_000,
    batch_size=4,
    model=model,
    data=DataConfig(seq_length=LENGTH, max_packs=1),
    objective=ObjectiveConfig(next_sentence="nsp" if model.pooler else "off"),
    compute=ComputeConfig(attention="xla"),
    mesh=MeshConfig(data=1),
  )


@pytest.mark.parametrize("name", CONFIGS)
def test_the_formula_is_within_three_percent_of_the_program(name):
  """Of what the plain path computes, with windows too."""
  config = config_of(name)
  size = config.model.vocab_size
  vocabulary = Vocabulary(
    *range(5),
    special_V=np.arange(size) < 5,
    continues_V=np.zeros(size, bool),
    ordinary_W=np.arange(5, size, dtype=np.int32),
  )
  program = make_program(config, vocabulary, jax.devices()[:1])
  text = compiling.compile_step(program, config).text
  assert text is not None
  counted = products.matmul_flops(parsing.parse(text))
  assert counted == pytest.approx(counting.formula_flops(config), rel=0.03)


def test_layers_that_share_weights_are_extrapolated_from_few(monkeypatch):
  """The steps that the compiler counts are of one layer and of three."""
  seen = []

  def compile_step(program, config):
    del program
    seen.append((config.model.num_layers, config.model.layer_groups))
    layers = float(config.model.num_layers)
    return compiling.Executable(
      1.0, None, flops=10 + layers, bytes_accessed=layers
    )

  monkeypatch.setattr(counting.compiling, "build", lambda *_: None)
  monkeypatch.setattr(counting.compiling, "compile_step", compile_step)
  config = config_of("groups")
  found = counting.count_unrolled(config, jax.devices()[:1])
  assert seen == [(1, 1), (3, 1)]
  assert found == (10 + config.model.num_layers, config.model.num_layers)


def test_windows_of_a_kernel_are_counted_by_the_formula():
  """Model FLOPs are of windows, and what is computed is of their tiles."""
  config = config_of("modernbert")
  model = dataclasses.replace(config.model, attention_window=128)
  data = dataclasses.replace(config.data, seq_length=2048)
  plain = dataclasses.replace(config, model=model, data=data)
  kernel = dataclasses.replace(plain, compute=ComputeConfig(attention="splash"))
  row = 12 * config.batch_size * model.hidden_size
  assert counting.attention_flops(plain) == row * 4 * 2048**2
  # Layers 0 and 3 attend to everything; ten tiles of sixteen have a window.
  assert counting.attention_flops(kernel) == row * (
    2 * 2048**2 + 2 * 10 * 512**2
  )
  inside = 129 * 2048 - 64 * 65
  spared = counting.formula_flops(plain) - counting.formula_flops(kernel)
  assert spared == row * 2 * (2048**2 - inside)
