# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The facts about lanes that a run keeps for its next start."""

import pytest

from bertjax.config import DataConfig, ObjectiveConfig, WandbConfig
from bertjax.parallel import multihost
from bertjax.train import hooks
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.store.store import open_store
from launch import pretrain
from launch.run import assembly, resumable
from tests.testing import corpus, fake_wandb

BATCH, STEP = 4, 30


def make(path):
  return PretrainingPipeline(
    open_store(path),
    "train",
    objective=ObjectiveConfig(),
    data=DataConfig(store=path, seq_length=24),
    batch_size=BATCH,
    seed=0,
  )


def walk(path, rows):
  pipeline = make(path)
  for step in range(STEP + 1):
    pipeline.batch(step, rows)
  return pipeline.memo(STEP)["facts"]


def test_merged_facts_of_all_processes_are_those_of_one(tmp_path):
  path = corpus.make_store(tmp_path)
  told = [walk(path, slice(n, n + 1)) for n in range(BATCH)]
  whole = walk(path, None)
  assert resumable.merge_facts(told) == sorted(whole)
  assert resumable.merge_facts([whole, whole]) == sorted(whole)


def test_newer_facts_replace_those_from_before_a_restart():
  old, new = [[0, 2, 7], [1, 3, 9]], [[0, 2, 7], [1, 11, 80]]
  mixed = [[[0, *fact] for fact in old], [[0, *fact] for fact in new]]
  for told in ([old, new], [new, old]):
    assert resumable.merge_facts(told) == new
  assert resumable.merge_facts(mixed) == [[0, *fact] for fact in new]


def test_a_single_process_gathers_its_own_facts():
  assert multihost.all_gather("memo", [[0, 2, 7]]) == [[[0, 2, 7]]]


@pytest.mark.usefixtures("one_device")
def test_a_run_is_one_run_at_wandb(store, tmp_path, monkeypatch):
  fake = fake_wandb.install(monkeypatch)
  config = corpus.make_config(store, wandb=WandbConfig(project="bert"))
  spec = assembly.assemble(config)
  snapshots = {}
  for _ in range(2):
    with resumable.open_run(spec, tmp_path / "work") as run:
      run.connect()
      snapshots = hooks.take_snapshots(run.hooks)
  first, second = fake.started
  assert first["config"]["steps"] == config.steps
  assert first["id"] == second["id"] == snapshots["metrics"]["wandb"]
  assert fake.finished == 2
  failing = resumable.open_run(spec, tmp_path / "work")
  failing.connect()
  failing.__exit__(RuntimeError, None, None)
  assert fake.exit_codes == [0, 0, 1]


@pytest.mark.usefixtures("one_device")
def test_a_run_that_is_refused_is_none_at_wandb(store, tmp_path, monkeypatch):
  def refuse(*_):
    raise ValueError("too large for this device")

  fake = fake_wandb.install(monkeypatch)
  monkeypatch.setattr(pretrain, "check_memory", refuse)
  config = corpus.make_config(store, wandb=WandbConfig(project="bert"))
  with pytest.raises(ValueError, match="too large"):
    pretrain.run(config, str(tmp_path / "work"))
  assert not fake.started


def test_a_run_without_the_package_is_refused_before_it_has_a_folder(
  store, tmp_path, monkeypatch
):
  monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
  config = corpus.make_config(store, wandb=WandbConfig(project="bert"))
  with pytest.raises(ValueError, match="pip install wandb"):
    assembly.assemble(config)
  with pytest.raises(ValueError, match="pip install wandb"):
    pretrain.run(config, str(tmp_path / "work"))
  assert not (tmp_path / "work").exists()
