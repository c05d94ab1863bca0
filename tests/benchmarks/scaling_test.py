# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of plans, from plans that are made up."""

import json
import subprocess
import sys

import pytest

from benchmarks import ahead_of_time, pod_numbers, scaling
from benchmarks.ahead_of_time import Case, NotCompiledError
from bertjax.plan.hardware import chips
from bertjax.plan.hardware.topologies import find, of_size
from bertjax.plan.hlo.collectives import Collective, by_kind
from bertjax.plan.hlo.parsing import Array
from tests.testing import tpu_plans

GRADIENTS = (Array("bf16", (336_500_000,)),)  # 673 MB, of BERT-large


def all_reduce(group, **changes):
  return Collective("all-reduce", "x", GRADIENTS, group=group, **changes)


def phase(fits=True, **changes):
  collectives = (
    tpu_plans.make_collective("all-reduce", "bf16", 600),
    tpu_plans.make_collective("all-reduce", "f32", 3, in_loop=True),
    tpu_plans.make_collective(
      "all-gather", "bf16", 650, overlaps=True, in_loop=True
    ),
  )
  fields = {"work": tpu_plans.make_work(), "collectives": collectives}
  return tpu_plans.make_phase(fits, **{**fields, **changes})


def test_a_table_says_which_rows_are_compiled(monkeypatch):
  tried = []

  def measure(case, cache):
    tried.append(case)
    return phase()

  monkeypatch.setattr(scaling, "measure", measure)
  lines = list(scaling.table("v5e", "base", 128, None))
  assert [case.chips for case in tried] == list(scaling.COMPILED)
  assert [line[0].replace(",", "") for line in lines] == [
    str(chips) for chips in scaling.CHIPS
  ]
  assert {line[2] for line in lines if int(line[0].replace(",", "")) > 64} == {
    "estimated"
  }
  assert lines[0][2] == "compiled"
  assert {len(line) for line in lines} == {len(scaling.COLUMNS)}
  # ZeRO-1 halves the state of a chip when the number of chips doubles.
  assert float(lines[0][3]) == 4.0
  assert float(lines[1][3]) == 2.0
  assert lines[6][1] == "2 × v5e:16x16"


def test_every_kind_of_chip_has_a_table_from_its_smallest_slice_on(monkeypatch):
  """A v3 of 8 chips does not exist."""
  assert set(scaling.KINDS) == set(chips.CHIPS)
  tried = []

  def measure(case, cache):
    tried.append(case.chips)
    return phase()

  monkeypatch.setattr(scaling, "measure", measure)
  lines = list(scaling.table("v3", "base", 128, None))
  assert tried == [16, 64]
  assert [line[0] for line in lines[:3]] == ["16", "32", "64"]
  assert lines[0][2] == "compiled"


def test_a_failed_compile_is_a_line_of_its_own(monkeypatch):
  def crash(*_):
    raise NotCompiledError("it crashed")

  monkeypatch.setattr(scaling, "measure", crash)
  lines = list(scaling.table("v4", "base", 128, None))
  assert [line[3] for line in lines] == ["it crashed"] * 2
  assert {len(line) for line in lines} == {len(scaling.COLUMNS)}


def test_bytes_are_summed_by_kind_and_dtype():
  found = phase()
  reductions = ("all-reduce", "reduce-scatter")
  assert pod_numbers.traffic_bytes(found, reductions) == 603e6
  assert pod_numbers.traffic_bytes(found, reductions, "f32") == 3e6
  assert pod_numbers.exposed_in_loop(found) == 3e6


def test_a_cached_plan_is_not_compiled_again(tmp_path, monkeypatch):
  calls = []

  def run(command, **_):
    calls.append(command)
    answer = phase(fits=False, steps=len(calls))
    text = json.dumps(answer.to_json())
    return subprocess.CompletedProcess(command, 0, text, "")

  monkeypatch.setattr(ahead_of_time.subprocess, "run", run)
  cache = tmp_path / "folder" / "cache.jsonl"
  first = ahead_of_time.measure(Case(rows=3), cache)
  assert ahead_of_time.measure(Case(rows=3), cache) == first
  assert first.steps == 1
  assert ahead_of_time.measure(Case(rows=4), cache).steps == 2
  monkeypatch.setattr(ahead_of_time, "versions", lambda: {"code": "new"})
  assert ahead_of_time.measure(Case(rows=3), cache).steps == 3


@pytest.mark.parametrize(
  ("code", "words"), [(-11, "crashed with signal 11"), (1, "the last line")]
)
def test_a_compile_that_fails_is_an_error_and_is_not_kept(
  tmp_path, monkeypatch, code, words
):
  monkeypatch.setattr(
    ahead_of_time.subprocess,
    "run",
    lambda command, **_: subprocess.CompletedProcess(
      command, code, "", "first\nthe last line\n"
    ),
  )
  cache = tmp_path / "cache.jsonl"
  with pytest.raises(NotCompiledError, match=words):
    ahead_of_time.measure(Case(), cache)
  assert not cache.exists()


def test_a_plan_without_bounds_is_an_error(monkeypatch):
  answer = tpu_plans.make_phase(notes=("another", "nothing is known"))
  monkeypatch.setattr(
    ahead_of_time.subprocess,
    "run",
    lambda command, **_: subprocess.CompletedProcess(
      command, 0, json.dumps(answer.to_json()), ""
    ),
  )
  with pytest.raises(NotCompiledError, match="nothing is known"):
    ahead_of_time.measure(Case())


def test_a_config_of_a_pod_has_its_rows_on_every_chip():
  for case in (Case(), Case(kind="v3", rows=4), Case(sharding="fsdp")):
    topology = of_size(case.kind, case.chips)
    assert topology is not None
    config = ahead_of_time.make_config(
      case, topology.num_devices, topology.num_chips
    )
    assert config.batch_size == case.rows * topology.num_chips


def test_nothing_imports_jax_before_its_environment_is_set():
  code = (
    "import sys, benchmarks.scaling, benchmarks.pod_numbers, launch.plan\n"
    "from bertjax.plan.hardware import topologies\n"
    "topologies.find('v5e:16x16').chip.peak_flops\n"
    "assert 'jax' not in sys.modules"
  )
  subprocess.run(
    [sys.executable, "-c", code], cwd=ahead_of_time.ROOT, check=True
  )


def test_more_chips_reduce_the_same_arrays():
  compiled = find("v5e:4x4")
  rows = by_kind([all_reduce(16), all_reduce(4)])
  whole, part = sorted(
    scaling.rescale(rows, compiled, find("v5e:16x16")),
    key=lambda one: -one.group,
  )
  assert (whole.group, part.group) == (256, 4)
  assert whole.bytes == part.bytes == 673e6
  assert whole.wire_bytes == pytest.approx(2 * 673e6 * 255 / 256)


def test_slices_reduce_their_shards():
  compiled, topology = find("v5e:4x4"), of_size("v5e", 1024)
  assert topology is not None
  assert topology.num_slices == 4
  rows = by_kind([all_reduce(16)])
  inside, between = scaling.rescale(rows, compiled, topology)
  assert (inside.group, inside.crosses) == (256, False)
  assert (between.group, between.crosses) == (4, True)
  assert between.bytes == pytest.approx(673e6 / 256, rel=1e-6)
  assert between.wire_bytes == pytest.approx(2 * 673e6 / 256 * 3 / 4, rel=1e-6)
