# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The table of figures, of plans that nothing was compiled for."""

import dataclasses
import json

import pytest

from benchmarks import ahead_of_time
from benchmarks.ahead_of_time import (
  Case,
  NotCompiledError,
  figures,
  most_rows,
  summary,
)
from bertjax.config.checks import kernels
from tests.testing import tpu_plans


@pytest.fixture
def asked(monkeypatch):
  """The cases that are compiled; up to 22 rows fit, and 24 are not answered."""
  cases = []

  def measure(case, cache=None):
    cases.append(case)
    if case.rows == 24:
      raise NotCompiledError("the compiler crashed")
    phase = tpu_plans.make_bounded_phase()
    assert phase.work is not None
    work = dataclasses.replace(phase.work, counted_ratio=1.01)
    return dataclasses.replace(
      phase, memory=tpu_plans.make_memory(case.rows <= 22), work=work
    )

  monkeypatch.setattr(ahead_of_time, "measure", measure)
  return cases


def test_figures_are_a_line_for_each_width_of_draws(asked):
  head, rule, *lines = figures()
  assert [line.split(" | ")[0] for line in lines] == ["| uint16", "| uint8"]
  assert all(line.endswith("| 5.00 | 1.0000 | 1.0100 | 22 |") for line in lines)
  counts = {line.count("|") for line in (head, rule, *lines)}
  assert len(counts) == 1
  assert {case.draws for case in asked if case.count} == {"uint16", "uint8"}


def test_all_steps_of_the_table_have_the_attention_that_is_asked_for(asked):
  assert len([*figures(attention="flash")]) == 4
  assert {case.attention for case in asked} == {"flash"}
  assert {case.attention_dropout for case in asked} == {0.1}


@pytest.mark.parametrize("attention", ahead_of_time.ATTENTION_NAMES)
def test_each_kernel_that_is_offered_can_be_compiled_for_a_tpu(attention):
  case = Case().with_attention(attention)
  config = ahead_of_time.make_config(case, 16, 16)
  chosen, _ = kernels.choose_attention(
    config.compute, config.model, "tpu", case.seq_length
  )
  assert chosen == ("xla" if attention == "auto" else attention)


def test_a_plan_is_told_in_a_line():
  bounded = tpu_plans.make_bounded_phase()
  told = summary(bounded)
  assert "HBM traffic 41.0 GB, 50.0 ms" in told
  assert "collectives 0.0 ms overlapped and 20.0 ms exposed" in told
  assert "temporaries 5.00 GiB; products 1.0000 of the formula" in told
  assert summary(tpu_plans.make_phase(notes=("unknown",))) == "unknown"


def test_the_most_rows_are_found_in_few_compiles(asked):
  assert most_rows(Case(draws="uint8")) == 22
  assert [case.rows for case in asked] == [24, 18, 20, 22]
  assert {case.draws for case in asked} == {"uint8"}


@pytest.mark.parametrize("most", [0, *ahead_of_time.ROWS])
def test_the_most_rows_are_those_that_fit(monkeypatch, most):
  def measure(case, _=None):
    memory = tpu_plans.make_memory(case.rows <= most)
    return dataclasses.replace(tpu_plans.make_bounded_phase(), memory=memory)

  monkeypatch.setattr(ahead_of_time, "measure", measure)
  assert most_rows(Case()) == most


def test_a_case_is_read_from_its_json():
  case = Case(kind="v6e", rows=8, draws="uint8", attention="flash")
  assert Case(**json.loads(json.dumps(dataclasses.asdict(case)))) == case
  config = ahead_of_time.make_config(case, 16, 16)
  assert config.compute.dropout_draws == "uint8"
  assert config.compute.attention == "flash"
  assert config.batch_size == 8 * 16
