# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of plans, from plans that are made up."""

import json
import subprocess
import sys

import pytest

from benchmarks import ahead_of_time, pod_numbers, scaling
from benchmarks.ahead_of_time import Case
from bertjax.plan.hardware.topologies import of_size

GIB = 2**30


def row(kind, dtype, megabytes, **changes):
  fields = {"kind": kind, "dtype": dtype, "bytes": megabytes * 10**6}
  twice = 2 if kind == "all-reduce" else 1
  fields |= {"group": 8, "overlaps": False, "in_loop": False, "crosses": False}
  fields |= {"wire_bytes": twice * fields["bytes"] * 7 / 8, "count": 1}
  return {**fields, "largest": fields["bytes"], **changes}


def phase(case):
  return {
    "compile_seconds": 50.0,
    "memory": {
      "fits": True,
      "limit": 16 * GIB,
      "by_kind": {
        "parameters": GIB,
        "optimizer": 2 * GIB,
        "batch": 0,
        "temporaries": 5 * GIB,
        "padding": GIB,
      },
    },
    "work": {
      "products_flops": 197e12 / 10,
      "hbm_bytes": 819e9 / 20,
      "counted_flops": None,
      "counted_bytes": None,
    },
    "collectives": [
      row("all-reduce", "bf16", 600),
      row("all-reduce", "f32", 3, in_loop=True),
      row("all-gather", "bf16", 650, overlaps=True, in_loop=True),
    ],
    "chips": case.chips,
  }


def test_a_table_says_which_rows_are_compiled(monkeypatch):
  tried = []

  def measure(case, cache):
    tried.append(case)
    return phase(case)

  monkeypatch.setattr(scaling, "measure", measure)
  lines = list(scaling.table("v5e", "base", 128, None))
  assert [case.chips for case in tried] == list(scaling.COMPILED)
  assert [line[0].replace(",", "") for line in lines] == [
    str(chips) for chips in scaling.CHIPS
  ]
  assert {line[2] for line in lines if int(line[0].replace(",", "")) > 64} == {
    "reckoned"
  }
  assert lines[0][2] == "compiled"
  assert {len(line) for line in lines} == {len(scaling.COLUMNS)}
  # What eight chips share is an eighth of that on sixty-four.
  assert float(lines[0][3]) == 4.0
  assert float(lines[1][3]) == 2.0
  assert lines[6][1] == "2 × v5e:16x16"


def test_what_fails_is_a_line_of_its_own(monkeypatch):
  monkeypatch.setattr(scaling, "measure", lambda *_: {"error": "it crashed"})
  lines = list(scaling.table("v4", "base", 128, None))
  assert [line[3] for line in lines] == ["it crashed"] * 2
  assert {len(line) for line in lines} == {len(scaling.COLUMNS)}


def test_bytes_are_summed_by_kind_and_dtype():
  found = phase(Case())
  reductions = ("all-reduce", "reduce-scatter")
  assert pod_numbers.traffic_bytes(found, reductions) == 603e6
  assert pod_numbers.traffic_bytes(found, reductions, "f32") == 3e6
  assert pod_numbers.exposed_in_loop(found) == 3e6


def test_what_was_compiled_once_is_read_again(tmp_path, monkeypatch):
  calls = []

  def run(command, **_):
    calls.append(command)
    answer = {"number": len(calls), "memory": {"fits": False}}
    return subprocess.CompletedProcess(command, 0, json.dumps(answer), "")

  monkeypatch.setattr(ahead_of_time.subprocess, "run", run)
  cache = tmp_path / "folder" / "cache.jsonl"
  first = ahead_of_time.measure(Case(rows=3), cache)
  assert ahead_of_time.measure(Case(rows=3), cache) == first
  assert first["number"] == 1
  assert ahead_of_time.measure(Case(rows=4), cache)["number"] == 2
  monkeypatch.setattr(ahead_of_time, "versions", lambda: {"code": "new"})
  assert ahead_of_time.measure(Case(rows=3), cache)["number"] == 3


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
  assert words in ahead_of_time.measure(Case(), cache)["error"]
  assert not cache.exists()


def test_a_compiler_that_tells_nothing_is_an_error(monkeypatch):
  answer = {"memory": {"fits": True}, "notes": ["another", "nothing told"]}
  monkeypatch.setattr(
    ahead_of_time.subprocess,
    "run",
    lambda command, **_: subprocess.CompletedProcess(
      command, 0, json.dumps(answer), ""
    ),
  )
  assert ahead_of_time.measure(Case()) == {"error": "nothing told"}


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
