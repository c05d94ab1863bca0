# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Two runs never change one workdir."""

import dataclasses
import errno
import fcntl
import pathlib
import pickle
import threading
import time

import pytest

from bertjax.config import CheckpointConfig, EvaluationConfig
from bertjax.train import hooks
from launch import pretrain
from launch.run import assembly, ownership, resumable
from tests.testing import corpus

STEPS = 4


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
  monkeypatch.setattr(ownership, "_LOCK_SECONDS", 0.0)


@pytest.fixture
def no_locks(monkeypatch):
  """A mounted bucket, or two hosts."""

  def refuse(*_):
    raise OSError(errno.ENOTSUP, "not supported")

  monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture(scope="module")
def config(store):
  config = corpus.make_config(
    store,
    steps=STEPS,
    log_every_steps=1,
    checkpoint=CheckpointConfig(every_steps=1),
    evaluation=EvaluationConfig(every_steps=0),
  )
  model = dataclasses.replace(config.model, num_layers=1)
  return dataclasses.replace(config, model=model)


def test_a_folder_that_is_held_is_refused_and_named(tmp_path):
  with ownership.Ownership(tmp_path) as owner:
    owner.take()
    assert ownership.is_held(tmp_path)
    with pytest.raises(ValueError, match=r"in use by another run \(pid \d+"):
      ownership.Ownership(tmp_path)
    owner.check()
  assert not ownership.is_held(tmp_path)
  with ownership.Ownership(tmp_path):
    owner.check()  # it was not taken


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_last_to_take_a_folder_has_it(tmp_path):
  with ownership.Ownership(tmp_path) as first:
    first.check()
    first.take()
    with ownership.Ownership(tmp_path) as second:
      first.check()
      second.take()
      second.check()
      for _ in range(2):
        with pytest.raises(ownership.TakenOver, match=r"over \(pid \d+ on "):
          first.check()
      (tmp_path / ownership.OWNER).unlink()
      with pytest.raises(ownership.TakenOver, match=r"no owner\.json says"):
        second.check()


def test_a_folder_that_is_not_there_is_not_held(tmp_path):
  assert not ownership.is_held(tmp_path / "no")
  assert ownership.read_owner(tmp_path / "no") == {}
  (tmp_path / ownership.OWNER).write_text('{"id": ')
  assert ownership.read_owner(tmp_path) == {}


@pytest.mark.usefixtures("one_device", "shared_programs")
def test_a_second_run_is_refused_while_the_first_lives(config, tmp_path):
  spec = assembly.assemble(config)
  with resumable.open_run(spec, tmp_path / "w"):
    before = (tmp_path / "w" / ownership.OWNER).read_bytes()
    with pytest.raises(ValueError, match="is in use by another run"):
      pretrain.run(config, str(tmp_path / "w"))
    assert (tmp_path / "w" / ownership.OWNER).read_bytes() == before
  assert pretrain.run(config, str(tmp_path / "w")).step == STEPS


def test_a_process_of_the_run_checks_and_holds_nothing(tmp_path):
  with ownership.Ownership(tmp_path) as owner:
    owner.take()
    check = pickle.loads(pickle.dumps(owner.check_alone))
    check()
  assert not ownership.is_held(tmp_path)
  with ownership.Ownership(tmp_path) as owner:
    owner.take()
    with pytest.raises(ownership.TakenOver, match="another run took"):
      check()


def test_a_taken_folder_is_left_alone_until_its_save_has_ended(
  tmp_path, monkeypatch
):
  """What is quiet was left by a run that is dead, and is not waited for."""
  monkeypatch.setattr(ownership, "_QUIET_SECONDS", 1.0)
  monkeypatch.setattr(ownership, "_POLL_SECONDS", 0.02)
  saves = tmp_path / "checkpoints"
  step = saves / "8"
  step.mkdir(parents=True)

  def save():
    for number in range(12):  # longer than is quiet
      (step / f"part{number}").touch()
      time.sleep(0.15)
    (step / "commit_success.txt").touch()

  with ownership.Ownership(tmp_path) as owner:
    owner.take()
    writer = threading.Thread(target=save)
    writer.start()
    assert owner.wait_for_save(saves)
    assert (step / "commit_success.txt").exists()
    writer.join()
    assert not owner.wait_for_save(saves)
    (step / "commit_success.txt").unlink()
    began = time.monotonic()
    assert owner.wait_for_save(saves)
    assert time.monotonic() - began > 0.5
    time.sleep(0.1)  # the clocks of files are coarse
    owner.take()
    assert not owner.wait_for_save(saves)
    (step / "part0").touch()
    monkeypatch.setattr(ownership, "_SAVE_SECONDS", 0.0)
    with pytest.raises(TimeoutError, match="still writes a checkpoint in"):
      owner.wait_for_save(saves)


@pytest.mark.usefixtures("one_device", "no_locks", "shared_programs")
@pytest.mark.parametrize("at", [pytest.param(1, marks=pytest.mark.full), 2])
def test_a_run_that_was_taken_over_ends_and_destroys_nothing(
  config, tmp_path, monkeypatch, at
):
  """The first one hangs at a step, and comes back when the second is done."""
  workdir = tmp_path / "w"
  kept: list[dict[str, bytes]] = []

  class Hang(hooks.Hook):
    def record(self, record):
      if record.step == at and not kept:
        kept.append({})  # the second run does not hang
        pretrain.run(config, str(workdir))
        kept[0] |= contents(workdir)

  make = resumable.Run._make_hooks
  monkeypatch.setattr(
    resumable.Run, "_make_hooks", lambda *given: [Hang(), *make(*given)]
  )
  with pytest.raises(ownership.TakenOver, match="another run took"):
    pretrain.run(config, str(workdir))
  assert contents(workdir) == kept[0]
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  assert len(lines) == STEPS + 1


@pytest.mark.usefixtures("one_device", "shared_programs")
def test_a_start_that_is_refused_takes_nothing_over(config, tmp_path):
  workdir = tmp_path / "w"
  pretrain.run(config, str(workdir))
  before = contents(workdir)
  for changes, words in (
    ({"seed": 9}, "seed: 0 → 9"),
    (
      {"steps": 2, "allow_changes": "steps"},
      "is at step 4, past steps=2; give --config.steps=4",
    ),
  ):
    with pytest.raises(ValueError, match=words):
      pretrain.run(dataclasses.replace(config, **changes), str(workdir))
    assert contents(workdir) == before


@pytest.mark.usefixtures("one_device", "shared_programs")
def test_lost_metrics_are_told_and_end_no_run(config, tmp_path, caplog):
  workdir = tmp_path / "w"
  pretrain.run(config, str(workdir))
  path = workdir / "metrics.jsonl"
  path.write_bytes(path.read_bytes()[:-1])
  pretrain.run(config, str(workdir))
  assert "metrics.jsonl has" in caplog.text
  assert "lines of earlier steps are lost" in caplog.text
  path.unlink()
  assert pretrain.run(config, str(workdir)).train == {}


def contents(folder: pathlib.Path) -> dict[str, bytes]:
  """Every file of a run but the clock's."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
    and path.name != "timing.jsonl"
    and "tensorboard" not in path.parts
  }
