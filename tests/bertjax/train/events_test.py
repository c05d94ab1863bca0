# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights & Biases gets what metrics.jsonl gets, as one run."""

import importlib.util
import json
import sys

import pytest

from bertjax.config import WandbConfig
from bertjax.train import writers
from bertjax.train.events import Wandb
from tests.testing import fake_wandb, step_records

CONFIG = WandbConfig(project="bert")


@pytest.fixture
def fake(monkeypatch):
  return fake_wandb.install(monkeypatch)


def writer(folder, config=CONFIG, **settings):
  return writers.MetricsWriter(
    folder,
    every_steps=2,
    tensorboard=False,
    wandb=Wandb(config, folder, {"steps": 4}),
    **settings,
  )


def test_every_line_goes_to_wandb_as_well(tmp_path, fake):
  target = writer(tmp_path)
  assert target.connect() == f"https://wandb.ai/{fake.started[0]['id']}"
  for step in range(1, 5):
    target.record(step_records.make(step))
  target.write(4, "validation", {"loss": 3.5})
  target.close()
  assert not fake.finished
  target.disconnect()
  (started,) = fake.started
  assert started["project"] == "bert"
  assert started["config"] == {"steps": 4}
  assert started["resume"] == "allow"
  assert started["name"] == "/".join(tmp_path.parts[-2:])
  lines = writers.read(tmp_path / "metrics.jsonl", "train")
  sent = [each for each in fake.logged if "train/tokens" in each]
  for line, values in zip(lines, sent, strict=True):
    del line["split"]
    named = {f"train/{n}": v for n, v in line.items() if n != "step"}
    assert values == {"step": line["step"], **named}
  assert fake.logged[-1] == {"step": 4, "validation/loss": 3.5}
  assert any("timing/tokens_per_second" in each for each in fake.logged)
  assert fake.finished == 1


def test_a_resumed_run_is_one_run(tmp_path, fake):
  first = writer(tmp_path)
  first.connect()
  snapshot = json.loads(json.dumps(first.snapshot()))
  # The checkpoint alone names the run, wherever it is restored.
  other = tmp_path / "other"
  other.mkdir()
  second = writer(other)
  second.restore(snapshot)
  second.connect()
  # Before the first checkpoint, the workdir does.
  writer(tmp_path).connect()
  assert len({each["id"] for each in fake.started}) == 1
  assert len(fake.started) == 3


def test_two_workdirs_are_two_runs(tmp_path, fake):
  for name in "ab":
    (tmp_path / name).mkdir()
    writer(tmp_path / name).connect()
  assert fake.started[0]["id"] != fake.started[1]["id"]


def test_a_checkpoint_of_a_run_without_wandb_can_be_resumed_with_it(
  tmp_path, fake
):
  plain = writers.MetricsWriter(tmp_path, every_steps=2, tensorboard=False)
  snapshot = plain.snapshot()
  assert "wandb" not in snapshot
  target = writer(tmp_path)
  target.restore(snapshot)
  target.connect()
  assert fake.started[0]["id"]


def test_only_the_process_that_writes_connects(tmp_path, fake):
  target = writer(tmp_path, writes=False)
  assert target.connect() == ""
  target.record(step_records.make(2))
  target.close()
  target.disconnect()
  assert not fake.started
  assert not list(tmp_path.iterdir())


def test_offline_says_how_to_upload(tmp_path, fake):
  target = writer(tmp_path, WandbConfig(project="bert", mode="offline"))
  assert f"`wandb sync {tmp_path}/wandb/offline-run-*`" in target.connect()
  assert fake.started[0]["mode"] == "offline"
  assert fake.started[0]["resume"] is None


def test_without_the_package_one_line_says_what_to_install(
  tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, "wandb", None)
  monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
  with pytest.raises(ValueError, match=r"^wandb\.project=bert .*pip install"):
    writer(tmp_path)


def test_a_refusal_is_one_line_with_the_fix(tmp_path, fake):
  fake.refusal = "No API key configured.\nUse `wandb login`."
  with pytest.raises(
    ValueError,
    match=r"^wandb\.project=bert: No API key .*mode=offline needs no account$",
  ):
    writer(tmp_path).connect()


def test_offline_the_package_itself_writes_one_run(tmp_path, monkeypatch):
  for name in ("CACHE", "CONFIG", "DATA"):
    monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home"))
  wandb = pytest.importorskip("wandb")
  config = WandbConfig(project="bert", mode="offline")
  for step in (2, 4):
    target = writer(tmp_path, config)
    target.connect()
    target.record(step_records.make(step))
    target.close()
    target.disconnect()
  # Ends the process that writes, which would live as long as this one.
  wandb.teardown()
  parts = list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
  saved = json.loads((tmp_path / "wandb.json").read_text())["id"]
  assert {part.stem for part in parts} == {f"run-{saved}"}
  assert len(parts) == 2
  assert all(b"train/mlm_loss" in part.read_bytes() for part in parts)
