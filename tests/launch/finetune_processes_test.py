# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes fine-tune as one does, and write each file once."""

import json
import signal

import jax
import pytest

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import FinetuneConfig, from_mapping
from bertjax.parallel.mesh import make_mesh
from configs import finetune as configs
from launch import cli, finetune
from tests.testing import small
from tests.testing.rehearsals import end, start

SPLITS = {"train": 32, "dev": 16, "test": 24}
FIELDS = {
  "steps": 24,
  "batch_size": 8,
  "evaluation_batch_size": 16,
  "evaluations": 2,
  "checkpoint_steps": 12,
  "seq_length": 12,
  "learning_rates": (0.01,),
  "seeds": 2,
  "optimizer.name": "adamw_corrected",
  "mesh.data": 2,
}


def fields_of(folder):
  paths = {f"task.{name}": str(folder / f"{name}.jsonl") for name in SPLITS}
  return FIELDS | paths


def config_of(folder):
  config = configs.get_config("task=table")
  config.update_from_flattened_dict(fields_of(folder))
  return from_mapping(FinetuneConfig, config.to_dict())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  folder = tmp_path_factory.mktemp("place")
  small.make_bundle(folder / "bundle")
  for seed, (name, count) in enumerate(SPLITS.items()):
    small.write_table(folder / f"{name}.jsonl", small.make_texts(count, seed))
  return folder


def start_finetune(place, workdir, *more):
  return start(
    "launch.finetune",
    "--config=finetune:task=table",
    *(f"--config.{name}={each}" for name, each in fields_of(place).items()),
    f"--bundle={place / 'bundle'}",
    f"--workdir={workdir}",
    *more,
    processes=2,
    devices=1,
  )


@pytest.fixture(scope="module")
def alone(place):
  """The results of one process with as many devices."""
  with pytest.MonkeyPatch.context() as patch:
    for module in ("launch.tasks", "bertjax.finetune.arm"):
      patch.setattr(
        f"{module}.make_mesh",
        lambda config: make_mesh(config, jax.devices()[:2]),
      )
    return finetune.run(
      config_of(place), str(place / "bundle"), str(place / "alone")
    )


@pytest.fixture(scope="module")
def together(place):
  """The folder of two processes, and what they printed."""
  code, output = end(start_finetune(place, place / "together"))
  assert code == 0, output
  return place / "together", output


def check_results(folder, alone):
  found = json.loads((folder / "results.json").read_text())
  for split in ("dev", "test"):
    for name, summary in getattr(alone.scores, split).items():
      assert found[split][name]["values"] == pytest.approx(
        summary.values, abs=1e-5
      ), (split, name)
  assert found["best_steps"] == list(alone.scores.best_steps)


def test_two_processes_have_the_scores_of_one(alone, together):
  check_results(together[0], alone)


def test_process_0_alone_prints_and_writes(place, together):
  folder, output = together
  lines = output.splitlines()
  for seed in range(2):
    told = [line for line in lines if f"seed {seed}: dev" in line]
    assert len(told) == 1, output
    assert told[0].startswith("[0]")
  names = {path.name for path in folder.iterdir()}
  assert names == {path.name for path in (place / "alone").iterdir()}
  assert {"model", "report.html", "results.json", "trials"} <= names
  assert not [*folder.glob("trials/*/checkpoints*")]
  assert read_bundle_info(folder / "model").details.trial


@pytest.mark.full
@pytest.mark.parametrize("at_once", [1, 2])
def test_processes_stop_together_and_resume(place, alone, tmp_path, at_once):
  workdir = tmp_path / "stopped"
  more = [f"--config.runs_at_once={at_once}", "--config.checkpoint_steps=1"]
  run = start_finetune(place, workdir, *more)
  while not [*workdir.glob("trials/*/checkpoints/[0-9]*")]:
    assert run.poll() is None
  run.send_signal(signal.SIGTERM)
  code, output = end(run)
  assert code == cli.RESTART, output
  assert output.count("run the same command again to resume") == 1
  assert not (workdir / "results.json").exists()
  code, output = end(start_finetune(place, workdir, *more))
  assert code == 0, output
  assert "begins anew" not in output
  check_results(workdir, alone)


@pytest.mark.full
def test_a_mistake_ends_both_before_anything_is_written(place, tmp_path):
  workdir = tmp_path / "work"
  code, output = end(start_finetune(place, workdir, "--config.batch_size=7"))
  assert code == 1
  assert output.count("batch_size=7") == 2  # each process says it
  assert not workdir.exists()
