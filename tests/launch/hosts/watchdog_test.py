# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run that hangs ends, and says where it hung."""

import pathlib
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import pytest

from bertjax.config import MeshConfig
from bertjax.parallel.mesh import make_mesh
from bertjax.train import hooks, loop
from bertjax.train.state import TrainState
from launch import cli
from launch.hosts.watchdog import Watchdog
from tests.testing import step_records, toy

ROOT = pathlib.Path(__file__).parents[3]
SECOND = 1 / 60
LONG = 30.0


class Told:
  """Takes what a watchdog says."""

  def __init__(self):
    self.texts = []
    self.event = threading.Event()

  def __call__(self, text):
    self.texts.append(text)
    self.event.set()


def make(minutes, told):
  return Watchdog(minutes, told, poll_seconds=0.01)


def test_a_batch_that_never_comes_is_noticed():
  told, counts = Told(), {"loss": (jnp.float32(1), jnp.float32(1))}
  dog = make(0.2 * SECOND, told)

  def batches(start):
    yield toy.batch(start)
    yield toy.batch(start + 1)
    assert told.event.wait(LONG), "nobody noticed"
    raise InterruptedError

  with pytest.raises(InterruptedError):
    loop.train(
      TrainState(step=jnp.int32(0), params={}, opt_state=()),
      train_step=lambda state, _: (state, counts),
      batches=batches,
      steps=9,
      mesh=make_mesh(MeshConfig(), jax.devices()[:1]),
      hooks=[dog],
    )
  dog.close()
  (text,) = told.texts
  assert "after step 2 (hang_minutes=0.00333)" in text
  assert "\n" not in text


def test_a_run_that_goes_on_is_left_alone():
  told = Told()
  dog = make(2.0 * SECOND, told)
  dog.record(step_records.make(1))
  for number in range(30):
    time.sleep(0.05)
    if number % 2:
      dog.wants(hooks.StepInfo(number, 99))
    else:
      dog.beat()
  assert not told.texts
  assert told.event.wait(LONG), "it watches still"
  dog.close()


def test_the_first_step_of_a_phase_is_compiled_and_has_longer():
  told = Told()
  dog = make(0.3 * SECOND, told)
  assert not told.event.wait(0.6)
  dog.record(step_records.make(1))
  dog.begin_phase()
  assert not told.event.wait(0.6)
  dog.record(step_records.make(2))
  assert told.event.wait(LONG)
  dog.close()


@pytest.mark.parametrize("minutes", [0, 0.2 * SECOND])
def test_nobody_watches_where_nobody_asked_or_it_is_closed(minutes):
  told = Told()
  dog = make(minutes, told)
  if minutes:
    dog.close()
  assert not told.event.wait(1.0)


def test_the_process_ends_with_42_and_shows_where_it_hung():
  done = subprocess.run(
    [sys.executable, "-m", "tests.testing.hanging"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
    timeout=120,
  )
  assert done.returncode == cli.RESTART
  assert "in wait_for_a_batch_that_never_comes" in done.stderr
  last = done.stderr.splitlines()[-1]
  assert last.startswith("error: nothing has happened for")
  assert "--config.hang_minutes=0 would wait forever" in last
