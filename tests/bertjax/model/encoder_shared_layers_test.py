# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What layers that share their weights cost to compile and to keep.

The laws are about counts of the program, which no other load on the machine
changes.
"""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from bertjax.batch import Vocabulary
from bertjax.plan import compiling
from bertjax.plan.hlo import parsing
from bertjax.train.program import make_program
from tests.bertjax.plan.counting_test import config_of


def program_of(layers):
  """Return a program of a small ALBERT, and its config."""
  config = config_of("albert")
  model = dataclasses.replace(config.model, num_layers=layers)
  config = dataclasses.replace(config, model=model)
  size = model.vocab_size
  vocabulary = Vocabulary(
    *range(5),
    special_V=np.arange(size) < 5,
    continues_V=np.zeros(size, bool),
    ordinary_W=np.arange(5, size, dtype=np.int32),
  )
  return make_program(config, vocabulary, jax.devices()[:1]), config


def computations_of(text):
  return parsing.parse(text).computations.values()


@functools.cache
def compiled(layers):
  return compiling.compile_step(*program_of(layers))


def test_what_is_compiled_of_twelve_layers_is_what_is_of_one():
  """The whole train step, line by line, before the compiler sees it."""
  lines = []
  for layers in (1, 12):
    program, config = program_of(layers)
    phase = program.for_phase(config)
    lowered = phase.train_step.lower(
      program.abstract_state(), phase.abstract_batch()
    )
    lines.append(lowered.as_text().count("\n"))
  assert lines[0] == lines[1]


@pytest.mark.full
def test_twelve_layers_are_compiled_to_the_instructions_of_two():
  """Of one, the compiler takes the loop away, and nothing else."""
  one, two, twelve = (
    sum(map(len, computations_of(compiled(layers).text)))
    for layers in (1, 2, 12)
  )
  assert twelve == two
  assert twelve <= 1.1 * one


@pytest.mark.full
def test_parameters_are_kept_once_and_activations_of_every_layer():
  two, four, twelve = (compiled(layers).memory for layers in (2, 4, 12))
  assert two.arguments == four.arguments == twelve.arguments
  # Beside that of all layers, some memory is taken once.
  layer = (four.temporaries - two.temporaries) / 2
  more = twelve.temporaries - four.temporaries
  assert more == pytest.approx(8 * layer, rel=0.05)
