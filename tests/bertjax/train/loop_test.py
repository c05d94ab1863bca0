# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The loop's order, its hooks, and that the device never waits for logs."""

import itertools
import math

import jax
import numpy as np
import optax
import pytest

from bertjax.config import CheckpointConfig, MeshConfig
from bertjax.parallel.mesh import make_mesh
from bertjax.train import hooks, loop, state, step
from tests.testing import toy


@pytest.fixture(scope="module")
def mesh():
  return make_mesh(MeshConfig(data=2), jax.devices()[:2])


def optimizer():
  return optax.sgd(0.1, momentum=0.9)


@pytest.fixture(scope="module")
def create(mesh):
  return state.make_initializer(toy.init_params, optimizer(), mesh)


@pytest.fixture(scope="module")
def train_step(mesh, create):
  return step.make_train_step(
    toy.task(), optimizer(), mesh, create(0), step.StepOptions()
  )


@pytest.fixture(scope="module")
def make(mesh, create, train_step):
  def run(start=None, *, steps=6, **settings):
    return loop.train(
      create(0) if start is None else start,
      train_step=settings.pop("train_step", train_step),
      batches=settings.pop("batches", toy.batches),
      steps=steps,
      mesh=mesh,
      **settings,
    )

  return run


class Log(hooks.Hook):
  """Write down what happens, in order."""

  def __init__(self, events, every=2):
    self._events = events
    self._every = every

  def wants(self, info):
    return info.every(self._every) or info.stopping

  def run(self, state, info):
    self._events.append(("hook", info.step, int(state.step)))

  def record(self, record):
    self._events.append(("record", record.step))


def test_hooks_see_the_old_state_before_the_next_batch_is_fetched(make):
  events = []

  def batches(start):
    for index, batch in enumerate(toy.batches(start), start):
      events.append(("batch", index))
      yield batch

  make(hooks=[Log(events)], batches=batches, steps=4)
  assert events == [
    ("batch", 0),
    ("batch", 1),
    ("record", 1),  # after step 2 was dispatched
    ("record", 2),  # at once, for the hook
    ("hook", 2, 2),
    ("batch", 2),
    ("batch", 3),
    ("record", 3),
    ("record", 4),
    ("hook", 4, 4),
  ]


def test_metrics_are_read_one_step_late(make, train_step):
  """Step n is dispatched before the metrics of n − 1 are asked for."""
  events = []

  def dispatch(state, batch):
    events.append("dispatch")
    return train_step(state, batch)

  class Read(hooks.Hook):
    def record(self, record):
      events.append(record.step)

  make(hooks=[Read()], train_step=dispatch, steps=4)
  assert events == ["dispatch", "dispatch", 1, "dispatch", 2, "dispatch", 3, 4]


def test_the_host_reads_the_metrics_of_the_step_before_and_nothing_else(
  make, train_step, monkeypatch
):
  """Nothing else waits for the device, and each step is read once."""
  events, sent, read = [], [], jax.device_get

  def count(tree):
    events.append(sent.index(tree) + 1 if tree in sent else "state.step")
    return read(tree)

  def refuse(*_):
    raise AssertionError("the loop waits for the device")

  def dispatch(state, batch):
    state, metrics = train_step(state, batch)
    sent.append(Same(metrics))
    events.append("dispatch")
    return state, sent[-1]

  class Same(dict):
    """Metrics that equal themselves alone: to compare arrays reads them."""

    def __eq__(self, other):
      return self is other

    __hash__ = None

  monkeypatch.setattr(jax, "device_get", count)
  monkeypatch.setattr(jax, "block_until_ready", refuse)
  make(train_step=dispatch, steps=4, hooks=[hooks.Hook()])
  assert events == [
    *("state.step", "dispatch", "dispatch", 1, "dispatch", 2, "dispatch", 3, 4)
  ]


def test_a_stop_that_a_slow_hook_hears_saves_at_the_same_step(make):
  """An evaluation that was cut short is not passed by with another step."""
  asked, events = [], []

  class Slow(hooks.Hook):
    def wants(self, info):
      return info.every(2) and not info.stopping

    def run(self, state, info):
      asked.append(info.step)  # the signal comes while it runs
      events.append(
        ("stopped", info.step) if info.stop() else ("ran", info.step)
      )

  stop = lambda _: bool(asked)
  save = hooks.Checkpoint(
    lambda _, step: events.append(("saved", step)),
    CheckpointConfig(every_steps=100),
  )
  end = make(hooks=[Slow(), save], stop=stop)
  assert events == [("stopped", 2), ("saved", 2)]
  assert int(end.step) == 2


def test_stopping_and_going_on_equals_never_stopping(make):
  whole = make(steps=7)
  asked = []

  def stop(_):
    asked.append(1)
    return len(asked) > 3

  events = []
  first = make(steps=7, stop=stop, hooks=[Log(events, every=0)])
  assert int(first.step) == 3
  assert events[-1] == ("hook", 3, 3)  # saved before it left
  second = make(first, steps=7)
  assert int(second.step) == 7
  jax.tree.map(
    np.testing.assert_array_equal,
    jax.device_get(whole),
    jax.device_get(second),
  )


def test_a_finished_run_fetches_nothing_and_still_runs_its_hooks(make):
  done = make(steps=2)

  def batches(start):
    raise AssertionError("nothing is left to fetch")

  events = []
  again = make(done, steps=2, batches=batches, hooks=[Log(events)])
  assert events == [("hook", 2, 2)]
  assert int(again.step) == 2


def test_the_loop_transfers_nothing_implicitly(make, train_step):
  def careless(state, batch):
    return train_step(state, {**batch, "weight_B": np.ones(16, "f4")})

  with pytest.raises(Exception, match=r"[Dd]isallowed host-to-device"):
    make(train_step=careless)


def test_dropout_differs_from_step_to_step_and_repeats_itself(mesh, create):
  """The same batch and the same parameters at four steps, twice."""
  still = optax.sgd(0.0, momentum=0.9)
  dropping = step.make_train_step(
    toy.task(dropout_rate=0.5), still, mesh, create(0), step.StepOptions()
  )
  losses = []

  class Keep(hooks.Hook):
    def record(self, record):
      losses.append(record.metrics["loss"][0])

  for _ in range(2):
    loop.train(
      create(0),
      train_step=dropping,
      batches=lambda _: itertools.repeat(toy.batch(0)),
      steps=4,
      mesh=mesh,
      hooks=[Keep()],
    )
  assert losses[:4] == losses[4:]
  assert len(set(losses)) == 4


def test_iterators_are_closed_also_after_an_error(make):
  closed = []

  def batches(start):
    try:
      yield from toy.batches(start)
    finally:
      closed.append(1)

  class Fails(hooks.Hook):
    def record(self, record):
      raise hooks.Diverged("stop")

  make(batches=batches, steps=2)
  with pytest.raises(hooks.Diverged):
    make(batches=batches, hooks=[Fails()])
  assert len(closed) == 2


def test_a_loss_of_nan_ends_the_run_before_anything_is_saved(make):
  saved = []

  def broken(start):
    for index, batch in enumerate(toy.batches(start), start):
      bad = batch["weight_B"] * np.float32(math.nan if index == 2 else 1)
      yield {**batch, "weight_B": bad}

  save = hooks.Checkpoint(
    lambda _, step: saved.append(step), CheckpointConfig(every_steps=1)
  )
  with pytest.raises(hooks.Diverged, match=r"loss is nan at step 3.*lower"):
    make(batches=broken, hooks=[hooks.CheckFinite(), save])
  assert saved == [1, 2]


def test_all_hooks_run_between_the_first_and_the_last_call(make):
  """Before any runs, and after all have: whatever their order is."""
  events = []

  class Both(Log):
    def before_hooks(self, state, info):
      events.append(("before", info.step))

    def after_hooks(self, state, info):
      events.append(("after", info.step))

  make(hooks=[Log(events), Both(events), hooks.CheckFinite()], steps=2)
  assert events[-4:] == [
    ("before", 2),
    ("hook", 2, 2),
    ("hook", 2, 2),
    ("after", 2),
  ]


def test_two_hooks_of_one_name_are_refused_before_the_first_step(make):
  with pytest.raises(ValueError, match="2 hooks are named 'Log'"):
    make(hooks=[Log([]), Log([])], batches=None)
