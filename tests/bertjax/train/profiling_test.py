# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A trace holds the steps asked for, and ends however the loop ends."""

import jax
import pytest

from bertjax.config import ProfileConfig
from bertjax.train import hooks
from bertjax.train.hooks import StepInfo
from bertjax.train.loop import _run_hooks
from bertjax.train.profiling import Profile
from bertjax.train.state import TrainState

STEPS = 9
STATE = TrainState(step=0, params={}, opt_state=())


class Other(hooks.Hook):
  """Another hook, which is not to be in a trace."""

  def __init__(self, events):
    self._events = events

  def wants(self, info):
    return True

  def run(self, state, info):
    self._events.append("hook")


@pytest.fixture
def events(monkeypatch):
  """What the profiler is asked, among steps and hooks."""
  made = []
  monkeypatch.setattr(
    jax.profiler, "start_trace", lambda folder: made.append(f"start {folder}")
  )
  monkeypatch.setattr(jax.profiler, "stop_trace", lambda: made.append("stop"))
  return made


def run(events, *, first=0, stop=STEPS, said=None, **fields):
  """A loop as `loop.train` is, from one step to another."""
  said = [] if said is None else said
  profile = Profile("P", ProfileConfig(**fields), said.append)
  all_hooks = [Other(events), profile]
  for step in range(first, stop + 1):
    info = StepInfo(step, STEPS, stopping=step == stop < STEPS)
    _run_hooks([hook for hook in all_hooks if hook.wants(info)], STATE, info)
    if step < stop:
      events.append(step + 1)
  for hook in all_hooks:
    hook.close()
  return [event for event in events if event != "hook"]


@pytest.mark.parametrize("start", [1, 3, STEPS - 1])
def test_just_these_steps_are_traced(events, start):
  said = []
  run(events, start_step=start, steps=2, said=said)
  begin, finish = events.index("start P"), events.index("stop")
  # Nothing of the other hooks but what lies between the two steps.
  assert events[begin + 1 : finish] == [start, "hook", start + 1]
  assert said == [
    f"traced steps {start} to {start + 1}; view them with: xprof --logdir=P"
  ]


def test_a_trace_ends_with_the_run(events):
  told = run(events, start_step=STEPS, steps=5)
  assert told[-3:] == ["start P", STEPS, "stop"]


def test_a_trace_ends_where_the_run_is_stopped(events):
  told = run(events, start_step=3, steps=5, stop=4)
  assert told[-4:] == ["start P", 3, 4, "stop"]


@pytest.mark.parametrize("stop", [2, 3])
def test_a_run_that_stops_before_traces_nothing(events, stop):
  assert "start P" not in run(events, start_step=stop + 1, stop=stop)


def test_a_run_that_goes_on_after_the_steps_traces_nothing(events):
  assert "start P" not in run(events, start_step=3, steps=2, first=3)


def test_an_error_ends_a_trace(events):
  profile = Profile("P", ProfileConfig(start_step=1))
  profile.after_hooks(STATE, StepInfo(0, STEPS))
  profile.close()
  profile.close()
  assert events == ["start P", "stop"]
