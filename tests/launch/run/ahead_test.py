# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A resumed run compiles while it reads: told by order, not by the clock."""

import dataclasses
import signal
import threading

import jax
import pytest

from bertjax.checkpoints.checkpoint import Checkpoints
from bertjax.config import CheckpointConfig, EvaluationConfig
from bertjax.train import memory
from launch import pretrain
from launch.run import ahead, assembly
from tests.testing import corpus

SECONDS = 120  # after which an event does not come any more


def test_both_go_on_at_once_and_both_are_waited_for():
  works, reads, ended = threading.Event(), threading.Event(), []

  def work():
    works.set()
    assert reads.wait(SECONDS)
    ended.append("work")

  with ahead.working(work):
    assert works.wait(SECONDS)
    reads.set()
  assert ended == ["work"]


def test_an_error_of_the_work_is_raised_after_the_body():
  ended = []

  def work():
    raise ValueError("of the work")

  with pytest.raises(ValueError, match="of the work"), ahead.working(work):
    ended.append("body")
  assert ended == ["body"]


def test_an_error_of_the_body_is_the_one_that_is_raised():
  fails, ended = threading.Event(), []

  def work():
    assert fails.wait(SECONDS)
    ended.append("work")
    raise ValueError("of the work")

  def body():
    fails.set()
    raise OSError("of the body")

  with pytest.raises(OSError, match="of the body"), ahead.working(work):
    body()
  assert ended == ["work"]  # no thread compiles when the process ends


def test_ctrl_c_waits_for_nothing():
  never = threading.Event()
  with pytest.raises(KeyboardInterrupt), ahead.working(never.wait):
    raise KeyboardInterrupt
  assert not never.is_set()
  never.set()


def test_ctrl_c_is_heard_while_the_thread_is_waited_for():
  never, waits = threading.Event(), threading.Event()
  main = threading.main_thread().ident
  assert main is not None

  def work():
    assert waits.wait(SECONDS)
    signal.pthread_kill(main, signal.SIGINT)
    never.wait()

  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    with pytest.raises(KeyboardInterrupt), ahead.working(work):
      waits.set()
  finally:
    signal.signal(signal.SIGINT, before)
  never.set()


@pytest.fixture(scope="module")
def config(store):
  config = corpus.make_config(
    store,
    steps=4,
    checkpoint=CheckpointConfig(every_steps=2),
    evaluation=EvaluationConfig(every_steps=0),
  )
  model = dataclasses.replace(config.model, num_layers=1)
  return dataclasses.replace(config, model=model)


@pytest.mark.usefixtures("one_device")
def test_a_resumed_run_reads_and_compiles_at_once_and_not_twice(
  config, tmp_path, monkeypatch, caplog
):
  half = dataclasses.replace(config, steps=2)
  whole = dataclasses.replace(config, allow_changes="steps")
  pretrain.run(half, str(tmp_path / "w"))
  compiles, reads = threading.Event(), threading.Event()
  count_bytes, restore, counted = memory.step_bytes, Checkpoints.restore, []

  def compile_step(*given):
    compiles.set()
    assert reads.wait(SECONDS)
    counted.append(count_bytes(*given))

  def read(*given):
    assert compiles.wait(SECONDS)
    reads.set()
    return restore(*given)

  monkeypatch.setattr(memory, "step_bytes", compile_step)
  monkeypatch.setattr(Checkpoints, "restore", read)
  caplog.clear()
  with jax.log_compiles():
    result = pretrain.run(whole, str(tmp_path / "w"))
  assert result.step == 4
  assert counted[0] > 0
  # `log_compiles` is of this thread, which finds the step compiled.
  assert "Finished tracing" in caplog.text
  assert "jit(train_step)" not in caplog.text


def test_a_run_without_a_checkpoint_or_steps_compiles_nothing_ahead(
  config, monkeypatch
):
  spec = assembly.assemble(config)
  refuse = lambda _: pytest.fail("compiled")
  monkeypatch.setattr(ahead, "working", refuse)
  for steps in ([], [2, 4]):
    with ahead.compiling(spec, steps):
      pass


def test_the_phase_of_the_next_step_is_compiled(two_phases, monkeypatch):
  spec = assembly.assemble(two_phases)
  found = []
  monkeypatch.setattr(ahead, "working", lambda work: work())
  monkeypatch.setattr(memory, "step_bytes", lambda step, *_: found.append(step))
  border = spec.phases[0].stop
  for newest in (border - 1, border):
    ahead.compiling(spec, [newest])
  assert found == [phase.program.train_step for phase in spec.phases]
