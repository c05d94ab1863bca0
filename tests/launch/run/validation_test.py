# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Validation over all stores of a run, and over each."""

import dataclasses

import pytest

from bertjax.config import DataConfig
from launch.run import assembly, validation
from launch.run.console import describe_phase
from tests.testing import corpus

pytestmark = pytest.mark.usefixtures("one_device")


def test_values_of_a_store_are_those_of_a_run_on_it(mixture, stores):
  """And one without a validation split is left out."""
  several = dataclasses.replace(
    corpus.mixed(stores, wiki=0.4, tickets=0.4, notes=0.2), max_packs=2
  )
  alone = DataConfig(store=stores["tickets"], seq_length=24, max_packs=2)
  values, made = [], None
  for data in (several, alone):
    spec = assembly.assemble(dataclasses.replace(mixture, data=data))
    made = made or spec.program.make_state()
    evaluate = validation.make_evaluate(spec, spec.phases[0])
    values.append(evaluate(made.params))
    lines = list(describe_phase(spec.phases[0]))
    assert lines[-1].endswith("no validation split") == (data is several)
  ours, theirs = values
  assert {name.partition("/")[2] for name in ours} == {"", "wiki", "tickets"}
  for name, value in theirs.items():
    if name != "unigram_entropy":  # of the mixture's tokens
      assert ours[f"{name}/tickets"] == value


def test_micro_batches_change_no_value(mixture, stores):
  """Evaluation takes training's, so that its memory is theirs, too."""
  values = []
  made = None
  for accumulation in (1, 2):
    optimizer = dataclasses.replace(
      mixture.optimizer, accumulation=accumulation
    )
    spec = assembly.assemble(dataclasses.replace(mixture, optimizer=optimizer))
    made = made or spec.program.make_state()
    (phase,) = spec.phases
    for batches in phase.evaluation.values():
      assert batches.batch_size == mixture.batch_size // accumulation
    values.append(validation.make_evaluate(spec, phase)(made.params))
  whole, micro = values
  assert micro == pytest.approx(whole, rel=1e-5)


def test_a_stop_is_heard_between_two_batches(mixture):
  spec = assembly.assemble(mixture)
  evaluate = validation.make_evaluate(spec, spec.phases[0])
  params, asked = spec.program.make_state().params, []

  def stop():
    asked.append(1)
    return len(asked) == 2

  assert evaluate(params, stop) is None
  assert len(asked) == 2
