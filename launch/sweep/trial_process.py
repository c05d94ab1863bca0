# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A process that runs trials of a study, which the process above it names.

Trials of equal shape share a program in it.
"""

import contextlib
import io
import logging
import multiprocessing
import os
import pathlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from absl import flags

from bertjax.config import SweepConfig
from bertjax.train.program import sharing
from bertjax.trials.store import Trial, TrialStore
from launch import cli, host_memory
from launch.hosts import compile_cache
from launch.preflight.policy import Policy
from launch.preflight.settle import each_once
from launch.sweep.shares import Share
from launch.sweep.trials import run_trials


class StudyRun(NamedTuple):
  """What a process needs to run trials.

  Attributes:
    config: the config that runs.
    trials: all of them, in order.
    store: the folder of the study.
    policy: limits of the checks, and which may fail.
  """

  config: SweepConfig
  trials: Sequence[Trial]
  store: TrialStore
  policy: Policy


def serve_trials(
  pipe: Connection, study: StudyRun, share: Share, log: pathlib.Path
) -> None:
  """Run the trials that the other end of a pipe names, until it names none."""
  os.environ.update(share.variables)
  if share.cores:
    os.sched_setaffinity(0, share.cores)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  with log.open("ab") as file:
    for stream in (sys.stdout, sys.stderr):
      assert isinstance(stream, io.TextIOWrapper)
      os.dup2(file.fileno(), stream.fileno())
      stream.reconfigure(line_buffering=True)
  host_memory.retain()
  compile_cache.keep(tells="never")
  flags.FLAGS(sys.argv[:1])  # worker processes of a run read them
  cli.quiet_libraries()
  reporter = _Reporter(pipe, study.trials)
  logging.getLogger().addHandler(reporter)
  with each_once(), sharing():
    run_trials(
      study.config, reporter.trials(), study.store, study.policy, reporter
    )


class _Reporter(logging.Handler):
  """Tells the process that started this one of trials and of warnings."""

  def __init__(self, pipe: Connection, trials: Sequence[Trial]) -> None:
    super().__init__(logging.WARNING)
    self._pipe = pipe
    self._trials = {trial.name: trial for trial in trials}
    self._sends = threading.Lock()  # threads that write checkpoints may warn

  def trials(self) -> Iterator[Trial]:
    """Yield the trials that this process is to run."""
    self._send("next")
    while name := self._pipe.recv():
      yield self._trials[name]
      self._send("next")

  def trial(self, name: str) -> contextlib.AbstractContextManager[None]:
    """Do nothing: who named the trial knows that it runs."""
    del name
    return contextlib.nullcontext()

  def note(self, name: str, text: str) -> None:
    """Tell how far a trial is."""
    self._send("note", name, text)

  def done(self, name: str, result: Mapping[str, Any]) -> None:
    """Tell the scores of a trial."""
    self._send("done", name, result)

  def failed(self, name: str, why: str) -> None:
    """Tell why a trial failed."""
    self._send("failed", name, why)

  def emit(self, record: logging.LogRecord) -> None:
    """Tell of a warning, and print it here."""
    print(f"warning: {record.getMessage()}", file=sys.stderr)
    self._send("warning", record.getMessage())

  def _send(self, *message: Any) -> None:
    with self._sends:
      self._pipe.send(message)


def _end_with_parent() -> None:
  # No trial goes on without the process that holds the folder of the study.
  parent = multiprocessing.parent_process()
  assert parent is not None
  parent.join()
  os._exit(1)
