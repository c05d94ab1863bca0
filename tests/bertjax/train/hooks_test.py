# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""When hooks are due, and what a resumed run gives back to them."""

import dataclasses
import json
import math

import jax.numpy as jnp
import pytest

from bertjax.config import CheckpointConfig
from bertjax.train import hooks, state
from bertjax.train.progress import Meter, Progress
from bertjax.train.writers import MetricsWriter


def test_an_evaluation_is_not_repeated_and_not_before_a_stop():
  values = []
  evaluate = hooks.Evaluate(
    lambda params, _: {"loss": params},
    lambda step, got: values.append((step, got)),
    every_steps=2,
    settings={"batches": 0},
  )
  at = lambda step, stopping=False: hooks.StepInfo(step, 6, stopping)
  assert not evaluate.wants(at(0))
  assert not evaluate.wants(at(1))
  assert not evaluate.wants(at(2, stopping=True))
  assert evaluate.wants(at(2))
  evaluate.run(state.TrainState(2, 1.5, None), at(2))
  assert not evaluate.wants(at(2))
  assert values == [(2, {"loss": 1.5})]

  again = hooks.Evaluate(
    lambda *_: {}, lambda *_: None, every_steps=2, settings={"batches": 0}
  )
  again.restore(evaluate.snapshot())
  assert not again.wants(at(2))
  assert again.values == {"loss": 1.5}
  other = hooks.Evaluate(
    lambda *_: {}, lambda *_: None, every_steps=2, settings={"batches": 5}
  )
  other.restore(evaluate.snapshot())
  assert other.wants(at(2))


def test_a_checkpoint_is_due_by_period_at_the_end_and_when_stopping():
  hook = hooks.Checkpoint(
    lambda *_: None, CheckpointConfig(every_steps=4), start=4
  )
  due = lambda step, stopping=False: hook.wants(
    hooks.StepInfo(step, 10, stopping)
  )
  assert [step for step in range(11) if due(step)] == [8, 10]  # 4 is there
  assert due(5, stopping=True)
  assert not due(4, stopping=True)


def test_an_evaluation_that_is_cut_short_is_made_again():
  """It reports nothing, and a resumed run takes it for not made."""
  reported = []

  def evaluate(_, stop):
    return None if stop() else {"loss": 1.0}

  hook = hooks.Evaluate(
    evaluate, lambda *got: reported.append(got), every_steps=2
  )
  at = hooks.StepInfo(2, 6, stop=lambda: True)
  hook.run(state.TrainState(2, 1.5, None), at)
  assert not reported
  assert hook.snapshot()["step"] == -1
  assert hook.wants(hooks.StepInfo(2, 6))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_a_step_that_is_not_finite_ends_the_run(name, value):
  metrics = {"loss": (1.0, 1.0), "grad_norm": (1.0, 1.0)}
  record = lambda metrics: hooks.CheckFinite().record(
    hooks.StepRecord(3, metrics, 0.0, 0.0, finished=False)
  )
  record(metrics)
  with pytest.raises(
    hooks.Diverged, match=f"{name} is {value} at step 3.*lower"
  ):
    record({**metrics, name: (value, 1.0)})


def test_an_evaluation_that_is_not_finite_ends_the_run_and_is_not_reported():
  reported = []
  hook = hooks.Evaluate(
    lambda *_: {"loss": 1.0, "mlm_loss": math.nan},
    lambda *got: reported.append(got),
    every_steps=2,
  )
  with pytest.raises(hooks.Diverged, match="mlm_loss is nan at evaluation"):
    hook.run(state.TrainState(2, 1.5, None), hooks.StepInfo(2, 2))
  assert not reported


@pytest.mark.parametrize("part", ["params", "opt_state"])
def test_a_state_that_is_not_finite_is_never_saved(part):
  """Its digests would match, and every restart would fail a step later."""
  saved = []
  hook = hooks.Checkpoint(
    lambda _, step: saved.append(step), CheckpointConfig(every_steps=1)
  )
  good = {"kernel": jnp.ones((2, 2)), "count": jnp.zeros((), jnp.int32)}
  bad = {**good, "kernel": jnp.array([[1.0, jnp.nan], [1.0, 1.0]])}
  whole = state.TrainState(jnp.int32(1), good, good)
  hook.run(whole, hooks.StepInfo(1, 9))
  with pytest.raises(hooks.Diverged, match=f"{part}/kernel .*after step 2"):
    hook.run(dataclasses.replace(whole, **{part: bad}), hooks.StepInfo(2, 9))
  assert saved == [1]


def test_each_hook_gets_its_own_snapshot_back():
  """Also of two of one class, and one that was not there is left alone."""

  def make(names):
    return [
      hooks.Evaluate(
        lambda params, _: {"loss": params},
        lambda *_: None,
        every_steps=1,
        name=name,
      )
      for name in names
    ]

  saved = make(["dev", "test"])
  for step, hook in enumerate(saved):
    hook.run(state.TrainState(step, float(step), None), hooks.StepInfo(step, 9))
  record = hooks.take_snapshots([hooks.CheckFinite(), *saved])
  assert record.keys() == {"dev", "test"}
  resumed = make(["test", "dev", "new"])
  hooks.restore_snapshots(resumed, json.loads(json.dumps(record)))
  assert [hook.step for hook in resumed] == [1, 0, -1]
  assert resumed[0].values == {"loss": 1.0}


def test_snapshots_have_the_keys_that_checkpoints_have_always_had():
  progress = Progress(1, Meter(), shown=(), quiet=True)
  evaluate = hooks.Evaluate(lambda *_: {}, lambda *_: None, every_steps=1)
  record = hooks.take_snapshots(
    [MetricsWriter(".", every_steps=1), progress, evaluate]
  )
  assert {name: set(each) for name, each in record.items()} == {
    "metrics": {"window", "tokens", "size"},
    "progress": {"tokens", "seconds"},
    "evaluate": {"step", "values", "settings"},
  }


def test_two_snapshots_of_one_name_are_refused():
  both = [
    hooks.Evaluate(lambda *_: {}, lambda *_: None, every_steps=1)
    for _ in range(2)
  ]
  with pytest.raises(ValueError, match="2 hooks are named 'evaluate'"):
    hooks.take_snapshots(both)
  with pytest.raises(ValueError, match="2 hooks are named 'evaluate'"):
    hooks.restore_snapshots(both, {})
