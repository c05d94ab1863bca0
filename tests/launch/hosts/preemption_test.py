# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Whichever process gets the signal, all stop before the same step."""

import random
import signal
import threading
import time

import pytest

from bertjax.parallel import multihost
from launch import cli
from launch.hosts import preemption

PROCESSES = 3
STEPS = 400


class Store:
  """A key-value store between threads, which stand in for processes."""

  def __init__(self):
    self._values = {}
    self._values_of_all = []
    self._all = threading.Barrier(PROCESSES)

  def kv_set(self, key, value):
    self._values.setdefault(key, value)

  def kv_try_get(self, key):
    return self._values.get(key)

  def all_gather_at(self, key, value, *, seconds):
    del key
    self._values_of_all.append(value)
    self._all.wait(seconds)
    return list(self._values_of_all)


@pytest.fixture
def store(monkeypatch):
  made = Store()
  monkeypatch.setattr(preemption, "_POLL_SECONDS", 0.01)
  monkeypatch.setattr(multihost, "unique_key", lambda topic: topic)
  for name in ("kv_set", "kv_try_get", "all_gather_at"):
    monkeypatch.setattr(multihost, name, getattr(made, name))
  return made


def run(sync, ends, number, *, start, collective, pause):
  """A loop that runs two steps ahead and needs all processes in each third."""
  step = start
  while step < start + STEPS and not sync.is_due(step):
    step += 1
    time.sleep(pause())
    if step % 3 == 0:
      collective.wait(20)
  ends[number] = step


@pytest.mark.parametrize("start", [0, 1000])
@pytest.mark.parametrize("asked", [0, 1, 2])
@pytest.mark.usefixtures("store")
def test_all_stop_before_the_same_step(asked, start):
  draw = random.Random(asked)
  syncs = [preemption.PreemptionSync() for _ in range(PROCESSES)]
  collective = threading.Barrier(PROCESSES)
  ends = {}
  threads = [
    threading.Thread(
      target=run,
      args=(sync, ends, number),
      kwargs={
        "start": start,
        "collective": collective,
        "pause": lambda: draw.uniform(0, 0.004),
      },
    )
    for number, sync in enumerate(syncs)
  ]
  for thread in threads:
    thread.start()
  time.sleep(draw.uniform(0, 0.1))
  syncs[asked].request(signal.SIGINT)
  for thread in threads:
    thread.join(30)
  for sync in syncs:
    sync.close()
  assert len(ends) == PROCESSES
  assert len(set(ends.values())) == 1
  assert start <= ends[0] < start + STEPS, "it was heard"
  assert {sync.signal for sync in syncs} == {signal.SIGINT}


@pytest.mark.usefixtures("store")
def test_a_request_before_the_first_step_is_kept_for_it():
  syncs = [preemption.PreemptionSync() for _ in range(PROCESSES)]
  syncs[1].request(signal.SIGTERM)
  deadline = time.monotonic() + 20
  while any(each.signal is None for each in syncs):
    assert time.monotonic() < deadline
    time.sleep(0.01)
  assert all(each.is_due(500) for each in syncs)
  for each in syncs:
    each.close()


def test_a_signal_goes_to_the_others_and_its_code_to_all(capsys):
  class Told:
    signal = None
    closed = False

    def request(self, number):
      self.signal = number

    def is_due(self, step):
      return self.signal is not None and step >= 7

    def close(self):
      self.closed = True

  told = Told()
  with cli.Signals(told) as signals:
    assert not signals.requested(7)
    signal.raise_signal(signal.SIGTERM)
    assert told.signal == signal.SIGTERM
    assert not signals.requested(6)
    assert not signals.requested()
    assert signals.requested(7)
    assert signals.requested()
    with pytest.raises(SystemExit) as left:
      signals.leave("bye")
  assert left.value.code == cli.RESTART
  assert told.closed
  assert capsys.readouterr().err == "bye\n"
