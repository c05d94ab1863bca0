# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Several trials of a study at once on this machine, in processes of their own.

Each process has an equal share of the devices, and asks this one for its next
trial until none is left. This process computes on no GPU: it shows what becomes
of the trials.
"""

import collections
import contextlib
import json
import multiprocessing
import pathlib
import signal
from collections.abc import Iterator, Sequence
from multiprocessing import connection, resource_tracker
from typing import Any

from bertjax import files
from bertjax.config import SweepConfig
from bertjax.train.writers import METRICS, TIMING
from bertjax.trials.store import Trial, TrialStore
from launch import cli
from launch.preflight.policy import Policy
from launch.sweep.board import Board
from launch.sweep.kept import PRETRAINED
from launch.sweep.shares import Share
from launch.sweep.trial_process import StudyRun, serve_trials
from launch.sweep.trials import ERROR, PRETRAINS, Outcome

# In the folder of the study: what the processes print.
LOGS = "logs"
_POLL_SECONDS = 1.0
_TAIL_BYTES = 4096
_SPAWN = multiprocessing.get_context("spawn")  # a fork of JAX may deadlock


def run_trials_at_once(
  config: SweepConfig,
  trials: Sequence[Trial],
  store: TrialStore,
  policy: Policy,
  board: Board,
  shares: Sequence[Share],
) -> Outcome:
  """Run the trials that are not done, as many at a time as there are shares.

  A process that dies fails the trial that it ran, and another takes its place;
  none takes that of one that dies before its first trial, as it would, too.

  Args:
    config: the config that runs.
    trials: all of them, in order.
    store: the folder of the study.
    policy: limits of the checks, and which may fail.
    board: shows the trials.
    shares: devices of each process.

  Raises:
    TakenOver: another process has the folder now.
    SystemExit: a signal stopped them; what ran is saved.
  """
  dispatcher = _Dispatcher(StudyRun(config, trials, store, policy), board)
  with cli.Signals() as signals:
    failed = dispatcher.run(shares, signals)
    if signals.requested():
      signals.leave(
        f"stopped, and what ran is saved in {store.folder}; run the same "
        "command again to resume"
      )
  outcome = Outcome({}, {}, dispatcher.lost)
  for trial in trials:
    if trial.name in failed:
      outcome.failed[trial.name] = failed[trial.name]
    if (result := store.result(trial)) is not None:
      arm, seed = trial.settings["arm"], trial.settings["seed"]
      outcome.results.setdefault(arm, {})[seed] = result
  return outcome


class _Process:
  """A process that runs trials.

  Attributes:
    share: its devices.
    log: where it prints.
    pipe: to it.
    process: handle of it.
    trial: the trial that it runs, or None.
    has_run: whether it has been given a trial.
    note: what it told last of that trial; "" for nothing.
    is_dismissed: whether it has been told that no trial is left.
    shown: open as long as the board shows that trial as running.
  """

  def __init__(self, study: StudyRun, share: Share, log: pathlib.Path) -> None:
    self.share = share
    self.log = log
    self.trial: Trial | None = None
    self.note = ""
    self.has_run = self.is_dismissed = False
    self._logged = _size(log)
    self.shown = contextlib.ExitStack()
    self.pipe, theirs = _SPAWN.Pipe()
    # No daemon: a run may have worker processes.
    self.process = _SPAWN.Process(
      target=serve_trials, args=(theirs, study, share, log)
    )
    with _unheard_interrupts():
      self.process.start()
    theirs.close()  # so that its end is heard

  def describe_end(self) -> str:
    """Return how it ended, and where it printed; it has ended."""
    code = self.process.exitcode
    text = f"ended with code {code}"
    if code and code < 0:
      text = f"was ended by {signal.Signals(-code).name}"
      if -code == signal.SIGKILL:
        text += ", as the system does where memory is short"
    if _size(self.log) > self._logged:
      return f"{text}; see {self.log}"
    # Python prints to this terminal what fails before the process begins.
    return f"{text}; see above, because it printed nothing to {self.log}"


@contextlib.contextmanager
def _unheard_interrupts() -> Iterator[None]:
  """Start processes that Ctrl-C does not reach: this one ends them.

  It would interrupt their imports with a traceback.
  """
  resource_tracker.ensure_running()  # its start would unblock the signal
  before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Dispatcher:
  """Hands trials to processes, and hears what becomes of them.

  Attributes:
    lost: processes that ended though trials were left, and how.
  """

  def __init__(self, study: StudyRun, board: Board) -> None:
    self.lost: list[str] = []
    self._study = study
    self._board = board
    self._waiting: collections.deque[Trial] = collections.deque()
    self._failed: dict[str, str] = {}
    self._warned: set[str] = set()
    self._processes: dict[Any, _Process] = {}
    self._stops = False

  def run(
    self, shares: Sequence[Share], signals: cli.Signals
  ) -> dict[str, str]:
    """Run until no trial is left; return {trial that failed: why}."""
    store = self._study.store
    for trial in self._study.trials:
      result = store.result(trial)
      if result is None:
        self._waiting.append(trial)
      else:
        (store.path(trial) / ERROR).unlink(missing_ok=True)
        self._board.done(trial.name, result)
    try:
      self._start_all(shares)
      while self._processes:
        ready = connection.wait([*self._processes], _POLL_SECONDS)
        # Asked before they are heard: Ctrl-C ends all processes of a terminal,
        # and a trial that was stopped has not failed.
        if signals.requested() and not self._stops:
          self._stops = True
          for each in self._processes.values():
            each.process.terminate()  # it saves and ends
        for pipe in ready:
          self._hear(self._processes[pipe])
        store.guard()
        self._note_progress()
    finally:
      for each in self._processes.values():
        each.process.kill()
        each.process.join()
    for trial in self._waiting if not self._stops else ():
      self._fail(trial, f"no process ran it: {'; '.join(self.lost)}")
    return self._failed

  def _start_all(self, shares: Sequence[Share]) -> None:
    if self._waiting and shares[0].idle:
      self._board.say(shares[0].idle)
    for number, share in enumerate(shares[: len(self._waiting)]):
      log = self._study.store.folder / LOGS / f"process-{number}.log"
      log.parent.mkdir(exist_ok=True)
      self._board.say(f"process {number} has {share.text}; it prints to {log}")
      self._start(share, log)

  def _start(self, share: Share, log: pathlib.Path) -> None:
    process = _Process(self._study, share, log)
    self._processes[process.pipe] = process

  def _hear(self, process: _Process) -> None:
    """Act on one message of a process, or on its end."""
    try:
      kind, *values = process.pipe.recv()
    except (EOFError, OSError):  # also in the middle of a message
      self._end(process)
      return
    if kind == "next":
      self._hand_out(process)
    elif kind == "warning":
      if values[0] not in self._warned:
        self._warned.add(values[0])
        whose = process.trial.name if process.trial else process.log.stem
        self._board.say(f"warning: {whose}: {values[0]}")
    elif kind == "note":
      name, process.note = values
      self._board.note(name, process.note)
    else:
      name, found = values
      process.shown.close()
      process.trial = None
      if kind == "done":
        self._board.done(name, found)
      else:
        self._failed[name] = found
        self._board.failed(name, found)

  def _hand_out(self, process: _Process) -> None:
    """Give a process its next trial, or tell it that none is left."""
    ends = self._stops or not self._waiting
    process.trial = None if ends else self._waiting.popleft()
    process.is_dismissed = ends
    process.note = ""
    if process.trial is not None:
      process.has_run = True
      process.shown.enter_context(self._board.trial(process.trial.name))
    with contextlib.suppress(BrokenPipeError):  # its end is heard next
      process.pipe.send(process.trial and process.trial.name)

  def _end(self, process: _Process) -> None:
    """Take note that a process has ended."""
    process.process.join()
    del self._processes[process.pipe]
    process.pipe.close()
    process.shown.close()
    if process.is_dismissed or self._stops:
      return
    if process.trial is None:
      self._lose(process)
    elif (result := self._study.store.result(process.trial)) is None:
      self._fail(process.trial, f"its process {process.describe_end()}")
    else:  # it ended before it could say so
      self._board.done(process.trial.name, result)
    if self._waiting and process.has_run:
      self._start(process.share, process.log)

  def _lose(self, process: _Process) -> None:
    """Tell of a process that ended while it ran no trial."""
    when = "after a trial" if process.has_run else "before its first trial"
    name = process.log.stem.replace("-", " ")
    self.lost.append(f"{name} died {when}: it {process.describe_end()}")
    self._board.say(f"warning: {self.lost[-1]}")

  def _fail(self, trial: Trial, why: str) -> None:
    """Fail a trial that could not say itself why."""
    store = self._study.store
    store.guard()
    store.path(trial).mkdir(parents=True, exist_ok=True)
    files.write_text(store.path(trial) / ERROR, f"{why}\n")
    self._failed[trial.name] = why
    self._board.failed(trial.name, why)

  def _note_progress(self) -> None:
    for each in self._processes.values():
      if each.trial is not None and each.note in ("", PRETRAINS):
        folder = self._study.store.path(each.trial)
        self._board.note(each.trial.name, describe_progress(folder))


def describe_progress(folder: pathlib.Path) -> str:
  """Return step, loss and speed of the pre-training of a trial, or ""."""
  step = _last_line(folder / PRETRAINED / METRICS)
  speed = _last_line(folder / PRETRAINED / TIMING)
  if "step" not in step or "loss" not in step:
    return ""
  text = f"step {step['step']:,}  loss {step['loss']:.4f}"
  rate = speed.get("tokens_per_second")
  return f"{text}  {rate:,.0f} tokens/s" if rate else text


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size if path.is_file() else 0


def _last_line(path: pathlib.Path) -> dict[str, Any]:
  """Return the last whole line of a growing file of JSON lines, or {}."""
  with (
    contextlib.suppress(OSError, json.JSONDecodeError, IndexError),
    path.open("rb") as file,
  ):
    file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
    return json.loads(file.read().rpartition(b"\n")[0].splitlines()[-1])
  return {}
