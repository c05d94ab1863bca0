# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A step for TPUs does not cost more than is recorded, unless a reason is."""

import importlib.util

import pytest
from absl import flags

from benchmarks import compiled_for_tpus, compiled_steps

FIGURES = {compiled_for_tpus.CASE: {"FLOPs of products": 1000}}
MORE = {compiled_for_tpus.CASE: {"FLOPs of products": 2000}}


@pytest.mark.full
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="libtpu is not installed: pip install 'bertjax[plan]'",
)
def test_a_step_for_tpus_costs_no_more_than_is_recorded():
  """What grew for a reason: python -m benchmarks.compiled_for_tpus --update."""
  now = compiled_for_tpus.measure()
  (figures,) = now.values()
  assert figures["FLOPs of products"] > 0
  assert any(name.startswith("all-reduce") for name in figures)
  record = compiled_steps.read(compiled_for_tpus.RECORD).get(
    compiled_for_tpus.compiler()
  )
  if record:  # of these versions
    assert compiled_steps.grown(record["figures"], now) == []


def test_a_record_says_its_compiler_and_why_it_is_so():
  records = compiled_steps.read(compiled_for_tpus.RECORD)
  assert records
  for by, record in records.items():
    assert [name.split()[0] for name in by.split(", ")] == ["jax", "libtpu"]
    assert record["figures"].keys() == {compiled_for_tpus.CASE}
    assert record["reasons"]


def test_figures_of_another_compiler_are_not_compared(
  tmp_path, monkeypatch, capsys
):
  values = flags.FlagValues()
  flags.DEFINE_bool("update", False, "", flag_values=values)
  flags.DEFINE_string("reason", "", "", flag_values=values)
  monkeypatch.setattr(flags, "FLAGS", values(["command"]) and values)
  path = tmp_path / "record.json"
  compiled_steps.update(FIGURES, "first", path, "jax 1, libtpu 1")
  compiled_steps.conclude(MORE, path, "jax 1, libtpu 2")
  assert capsys.readouterr().out.startswith(
    "nothing is recorded for jax 1, libtpu 2"
  )
  compiled_steps.conclude(FIGURES, path, "jax 1, libtpu 1")
  assert capsys.readouterr().out == "nothing grew, by jax 1, libtpu 1\n"
  with pytest.raises(SystemExit, match="grew from 1,000 to 2,000"):
    compiled_steps.conclude(MORE, path, "jax 1, libtpu 1")
  values.update = True
  with pytest.raises(SystemExit, match="say why that is right"):
    compiled_steps.conclude(MORE, path, "jax 1, libtpu 1")
  assert compiled_steps.read(path)["jax 1, libtpu 1"]["figures"] == FIGURES
