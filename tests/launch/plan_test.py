# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""`launch.plan` as a user runs it, with one small compile for a slice."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from bertjax.config import (
  SIZES,
  DataConfig,
  MeshConfig,
  PhaseConfig,
  PretrainConfig,
)
from bertjax.plan import results
from bertjax.plan.hardware import topologies
from launch import plan
from launch.run import assembly
from tests.testing import corpus

TINY = PretrainConfig(
  batch_size=16, model=dataclasses.replace(SIZES["tiny"], vocab_size=0)
)
V5E = topologies.find("v5e:2x4")
ROOT = pathlib.Path(__file__).parents[2]
needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="libtpu is not installed: pip install 'bertjax[plan]'",
)
SMALL = (
  "--config=configs/pretrain.py:size=tiny",
  "--config.data.seq_length=32",
  "--config.model.vocab_size=1024",
  "--config.batch_size=8",
  "--config.steps=20000",
  "--config.mesh.zero1=True",
  "--config.compute.dtype=bfloat16",
  "--config.compute.dropout_rng=rbg",
)


def launch(*arguments):
  """Run the command; other processes may hold libtpu, as there is no TPU."""
  return subprocess.run(
    [sys.executable, "-m", "launch.plan", *arguments],
    cwd=ROOT,
    env={**os.environ, "ALLOW_MULTIPLE_LIBTPU_LOAD": "1", "XLA_FLAGS": ""},
    capture_output=True,
    text=True,
    check=False,
    timeout=600,
  )


@needs_libtpu
def test_a_small_step_is_compiled_and_planned(tmp_path):
  done = launch(
    *SMALL,
    "--topology=v5e:2x2",
    "--nocount",
    "--price_per_chip_hour=1.5",
    f"--output={tmp_path / 'plan'}",
  )
  assert done.returncode == 0, done.stderr
  lines = done.stderr.splitlines()
  assert lines[0] == (
    "compiling the train step and the evaluation for v5e:2x2 …"
  )
  assert len(lines) <= 2, lines  # the second says which kernel attention uses
  found = json.loads((tmp_path / "plan" / plan.JSON).read_text())
  assert found["mesh"] == {"data": 4, "fsdp": 1, "tensor": 1}
  (phase,) = found["phases"]
  assert phase["memory"]["fits"]
  kinds = phase["memory"]["by_kind"]
  for use in (phase["memory"], phase["evaluation"]):
    assert use["fits"]
    assert sum(use["by_kind"].values()) == use["needed"], "the parts add up"
  # Two numbers of optimizer state a parameter, sharded like the parameter.
  assert kinds["optimizer"] == pytest.approx(2 * kinds["parameters"], rel=0.01)
  assert phase["work"]["products_ratio"] == pytest.approx(1, abs=0.03)
  joined = [row for row in phase["collectives"] if row["bytes"] > 10_000]
  assert {row["group"] for row in joined} == {4}
  assert "all-gather" in {row["kind"] for row in joined}
  reduced = sum(
    row["bytes"]
    for row in joined
    if row["kind"] in ("all-reduce", "reduce-scatter")
  )
  # Gradients travel once, in the dtype of compute.
  assert reduced == pytest.approx(2 * found["parameters"], rel=0.1)
  assert found["run"]["price"] == 1.5 * found["run"]["chip_hours"]
  page = (tmp_path / "plan" / plan.HTML).read_text()
  assert page.count("<svg") == 2
  assert "http" not in page.replace("http://www.w3.org/", "")
  assert results.BOUND in " ".join(done.stdout.split())


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (("--topology=v5e:3x3",), "v5e:2x4"),
    (("--topology=v5e:2x2", "--price_per_chip_hour=-1"), "give 0 or more"),
    (("--topology=v5e:2x2", "--output=gs://bucket/plan"), "mount it"),
    (
      ("--topology=v5e:2x2", "--price_per_chip_hour=1", "--search"),
      "has no effect with --search",
    ),
    (
      ("--topology=v5e:2x2", "--search_minutes=5"),
      "no effect without --search",
    ),
    (
      ("--topology=v5e:2x2", "--search", "--search_minutes=0"),
      "give more than 0",
    ),
  ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
  tmp_path, arguments, words
):
  done = launch(*SMALL, f"--output={tmp_path / 'plan'}", *arguments)
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: ")
  assert words in line
  assert not (tmp_path / "plan").exists()


def test_what_a_store_would_decide_is_filled_in_and_noted():
  resolved, notes = plan.resolve_for(TINY, V5E)
  config = resolved.config
  assert config.model.vocab_size == 30_592
  assert config.data.max_packs == 1
  assert ["vocab_size=0" in notes[0], "max_packs=0" in notes[1]] == [True] * 2
  given = dataclasses.replace(
    config, data=DataConfig(max_packs=3), model=config.model
  )
  resolved, notes = plan.resolve_for(given, V5E)
  assert (resolved.config, notes) == (given, [])


def test_a_store_decides_what_it_decides_for_the_run(store):
  """A plan of other rows and another table than the run's is no plan of it."""
  config = corpus.make_config(store, batch_size=16)
  resolved, notes = plan.resolve_for(config, V5E)
  assert not notes
  assert resolved.config == assembly.assemble(config).config
  assert resolved.config.data.max_packs > 1
  missing = dataclasses.replace(config, data=DataConfig(store="/no/store"))
  with pytest.raises(ValueError, match="/no/store"):
    plan.resolve_for(missing, V5E)


def test_a_note_names_the_phase_whose_packs_a_store_would_choose():
  config = dataclasses.replace(
    TINY,
    data=DataConfig(max_packs=3),
    phase2=PhaseConfig(steps=10, seq_length=256),
  )
  _, notes = plan.resolve_for(config, V5E)
  assert [note.partition(":")[0] for note in notes] == [
    *("model.vocab_size=0", "phase2.max_packs=0"),
  ]


def test_slices_of_the_topology_are_those_of_the_mesh():
  resolved, _ = plan.resolve_for(TINY, topologies.find("v5e:2x4", 2))
  assert resolved.config.mesh.slices == 2
  other = dataclasses.replace(TINY, mesh=MeshConfig(data=1, fsdp=16))
  with pytest.raises(ValueError, match="cannot cross 2 slices"):
    plan.resolve_for(other, topologies.find("v5e:2x4", 2))


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"batch_size": 12}, "batch_size=12"),
    ({"mesh": MeshConfig(data=3)}, "does not multiply to 8 devices"),
    ({"mesh": MeshConfig(tensor=8)}, "mesh.tensor=8"),
    ({"data": DataConfig(seq_length=1024)}, "seq_length=1024"),
  ],
)
def test_mistakes_are_refused_before_any_compile(changes, words):
  with pytest.raises(ValueError, match=words):
    plan.plan_run(dataclasses.replace(TINY, **changes), V5E)


def test_a_crash_of_the_compiler_is_one_line(tmp_path, monkeypatch, capsys):
  script = tmp_path / "python"
  script.write_text(
    "#!/bin/sh\necho compiling >&2\necho '*** SIGSEGV' >&2\n"
    "echo more >&2\nkill -SEGV $$\n"
  )
  script.chmod(0o755)
  monkeypatch.setattr(plan.sys, "executable", str(script))
  with pytest.raises(SystemExit) as stopped:
    plan._run_in_child(topologies.find("tpu7x:2x2x1"))
  assert stopped.value.code == 1
  lines = capsys.readouterr().err.splitlines()
  assert lines[0] == "compiling"
  assert lines[1].startswith(
    "error: the compiler crashed with signal 11 for tpu"
  )
  assert len(lines) == 2
