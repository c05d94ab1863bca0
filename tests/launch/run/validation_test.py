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
