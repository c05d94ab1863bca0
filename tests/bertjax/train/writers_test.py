# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics on disk are a function of the steps, whatever happened between."""

import json
import os
import pathlib

import pytest

from bertjax.train import writers
from tests.testing import step_records


def writer(folder, **settings):
  settings = {"every_steps": 4, "tensorboard": False, **settings}
  return writers.MetricsWriter(folder, **settings)


def write_all(target, steps):
  for step in steps:
    target.record(step_records.make(step))
    if step == 8:
      target.write(step, "validation", {"loss": 3.5})


@pytest.fixture
def whole(tmp_path):
  folder = tmp_path / "whole"
  folder.mkdir()
  target = writer(folder)
  write_all(target, range(1, 11))
  target.close()
  return (folder / "metrics.jsonl").read_bytes()


def test_a_line_is_the_mean_since_the_line_before(tmp_path):
  target = writer(tmp_path)
  write_all(target, range(1, 11))
  target.close()
  got = writers.read(tmp_path / "metrics.jsonl", "train")
  assert [line["step"] for line in got] == [4, 8, 10]  # and the last step
  weights = {step: step % 3 + 1 for step in range(5, 9)}
  expected = sum(7 / step * weights[step] for step in weights)
  assert got[1]["mlm_loss"] == pytest.approx(expected / sum(weights.values()))
  assert got[1]["tokens"] == 800
  assert "nsp_loss" not in got[1]  # of weight 0: no value
  assert "attended" not in got[1]
  validation = writers.read(tmp_path / "metrics.jsonl", "validation")
  assert validation == [{"step": 8, "split": "validation", "loss": 3.5}]


@pytest.mark.parametrize("saved", range(1, 10))
@pytest.mark.parametrize("lost", [0, 1, 5])
def test_a_resumed_file_is_the_same_to_the_byte(tmp_path, whole, saved, lost):
  """Saved at one step, killed `lost` steps later, in the midst of a line."""
  first = writer(tmp_path)
  write_all(first, range(1, saved + 1))
  snapshot = json.loads(json.dumps(first.snapshot()))
  write_all(first, range(saved + 1, min(saved + lost, 10) + 1))
  first.close()
  with (tmp_path / "metrics.jsonl").open("a") as file:
    file.write('{"step": 9, "spl')
  second = writer(tmp_path, start=saved)
  second.restore(snapshot)
  write_all(second, range(saved + 1, 11))
  second.close()
  assert (tmp_path / "metrics.jsonl").read_bytes() == whole


def test_what_a_checkpoint_knows_is_in_closed_files(tmp_path, whole):
  """A mounted bucket gets a file when it is closed."""
  target = writer(tmp_path)
  path = tmp_path / "metrics.jsonl"
  held = lambda: (
    str(path)
    in {
      os.path.realpath(link)
      for link in pathlib.Path("/proc/self/fd").iterdir()
      if os.path.lexists(link)
    }
  )
  for step in range(1, 11):
    write_all(target, [step])
    assert held() == (step in (4, 8, 10)), "it is where a line was written"
    assert target.snapshot()["size"] == (
      path.stat().st_size if step >= 4 else 0
    )
    assert not held()
  target.close()
  assert path.read_bytes() == whole


def test_a_run_from_scratch_starts_a_new_file(tmp_path, whole):
  (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 99}\n')
  target = writer(tmp_path)
  assert (tmp_path / "metrics.jsonl").read_bytes() == b'{"step": 99}\n'
  write_all(target, range(1, 11))
  target.close()
  assert (tmp_path / "metrics.jsonl").read_bytes() == whole


def test_metrics_that_cannot_be_written_are_named(tmp_path):
  (tmp_path / "timing.jsonl").symlink_to("/dev/full")
  target = writer(tmp_path)
  with pytest.raises(OSError, match=r"No space left .*/timing\.jsonl'"):
    write_all(target, range(1, 11))
  with pytest.raises(OSError, match=r"No space left .*/timing\.jsonl'"):
    target.close()


def test_clock_values_stay_out_of_the_metrics(tmp_path):
  for seconds in (0.5, 9.0):
    target = writer(tmp_path)
    for step in range(1, 9):
      target.record(step_records.make(step, seconds=seconds))
    target.close()
  lines = (tmp_path / "timing.jsonl").read_text().splitlines()
  timings = [json.loads(line) for line in lines]
  assert [line["step"] for line in timings] == [4, 8, 4, 8]
  assert timings[1]["tokens_per_second"] == pytest.approx(200)
  assert timings[1]["wait_share"] == pytest.approx(0.2)


def test_tensorboard_gets_the_same_values(tmp_path):
  target = writer(tmp_path, tensorboard=True)
  write_all(target, range(1, 5))
  target.close()
  events = list((tmp_path / "tensorboard").iterdir())
  assert len(events) == 1
  assert b"train/mlm_loss" in events[0].read_bytes()


def test_a_line_that_is_being_written_is_left_out(tmp_path):
  assert writers.read_rates(tmp_path) == []
  text = '{"step": 4, "tokens_per_second": 5.0}\n{"step": 8, "tok'
  (tmp_path / writers.TIMING).write_text(text)
  assert writers.read_rates(tmp_path) == [5.0]
