# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The live table of a study: trials, their states and scores, and what is left.

The line of the trial that is pre-trained (step, losses, tokens a second) stands
below it; where several run, each has its own in the table. There, too, stands
which probe of a trial runs and how far it is. Without a terminal, each trial
has a line when it starts and when it ends.
"""

import contextlib
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import rich.box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from bertjax.train import progress

# Trials that are shown before and after one that runs.
_AROUND = 4
_METRICS = 3


class Watcher(Protocol):
  """Hears when trials begin, end and fail."""

  def trial(self, name: str) -> contextlib.AbstractContextManager[None]:
    """Return a context that is open while a trial runs."""
    ...

  def note(self, name: str, text: str) -> None:
    """Take how far a trial is that runs."""

  def done(self, name: str, result: Mapping[str, Any]) -> None:
    """Take the result of a trial that is done."""

  def failed(self, name: str, why: str) -> None:
    """Take why a trial failed."""


class Board:
  """Shows what becomes of the trials.

  Args:
    names: names of the trials, in order.
    work: what each trial costs, in one unit, to reckon what is left.
    console: where it is shown; None is standard output.
    at_once: trials that run at the same time.
    seconds: what trials took in earlier calls, all or a part of them, by name.
  """

  def __init__(
    self,
    names: Sequence[str],
    work: Sequence[float],
    console: Console | None = None,
    at_once: int = 1,
    seconds: Mapping[str, float] = types.MappingProxyType({}),
  ) -> None:
    self._earlier = seconds
    self._at_once = at_once
    self._console = console or Console(highlight=False)
    self._work = dict(zip(names, work, strict=True))
    self._states = dict.fromkeys(names, "to run")
    self._scores: dict[str, str] = {}
    self._seconds: dict[str, float] = {}
    self._began: dict[str, float] = {}
    self._live: Live | None = None

  @contextlib.contextmanager
  def shown(self) -> Iterator["Board"]:
    """Show the table as long as the context is open."""
    if not self._console.is_terminal:
      yield self
      return
    with (
      progress.on_console(self._console),
      Live(console=self._console, auto_refresh=False) as self._live,
    ):
      yield self
    self._live = None

  @contextlib.contextmanager
  def trial(self, name: str) -> Iterator[None]:
    """Show a trial that runs, and measure its time."""
    number = list(self._states).index(name) + 1
    self._say(f"trial {number} of {len(self._states)}: {name}")
    self._set(name, "runs")
    self._began[name] = time.monotonic()
    try:
      yield
    finally:
      self._seconds[name] = time.monotonic() - self._began.pop(name)

  def note(self, name: str, text: str) -> None:
    """Show how far a trial is that runs."""
    if text and self._scores.get(name) != text:
      self._scores[name] = text
      self._set(name, "runs")

  def say(self, text: str) -> None:
    """Print a line above the table."""
    self._console.print(text, soft_wrap=True, markup=False)

  def done(self, name: str, result: Mapping[str, Any]) -> None:
    """Show the scores of a trial that is done."""
    shown = [
      f"{metric.replace('_', ' ')} {value:.4f}"
      for metric, value in result.items()
      if isinstance(value, float)
    ]
    self._scores[name] = "  ".join(shown[:_METRICS])
    self._set(name, "done")
    whose = f"{name}: " if self._at_once > 1 else "  "
    self._say(f"{whose}{self._scores[name]}; {self.left()}")

  def failed(self, name: str, why: str) -> None:
    """Show a trial that failed."""
    self._scores[name] = why
    self._set(name, "failed")
    # In any case, because the table may not have room for all trials.
    self.say(f"{name} failed: {why}")

  def left(self) -> str:
    """Return what is done, and about how long the rest takes."""
    counts = {
      state: [*self._states.values()].count(state)
      for state in ("done", "failed")
    }
    text = f"{counts['done']} of {len(self._states)} done"
    if counts["failed"]:
      text += f", {counts['failed']} failed"
    # A trial takes the time of all calls that it ran in.
    took = {
      name: self._earlier.get(name, 0.0) + self._seconds.get(name, 0.0)
      for name, state in self._states.items()
      if state == "done"
    }
    timed = {name: seconds for name, seconds in took.items() if seconds > 1}
    rest = [n for n, s in self._states.items() if s in ("to run", "runs")]
    work = sum(self._work[name] for name in timed)
    if rest and work:
      pace, now = sum(timed.values()) / work, time.monotonic()
      spent = {
        name: self._earlier.get(name, 0.0)
        + (now - self._began[name] if name in self._began else 0.0)
        for name in rest
      }
      seconds = sum(
        max(0.0, pace * self._work[name] - spent[name]) for name in rest
      )
      text += f", about {seconds / self._at_once / 3600:.2f} h left"
    return text

  def _set(self, name: str, state: str) -> None:
    self._states[name] = state
    if self._live is not None:
      self._live.update(self._table(name), refresh=True)

  def _say(self, text: str) -> None:
    if self._live is None:
      self.say(text)

  def _table(self, current: str) -> Table:
    table = Table(box=rich.box.SIMPLE_HEAD, caption=self.left())
    for column in ("trial", "state", "scores"):
      table.add_column(column)
    places = [
      number
      for number, (name, state) in enumerate(self._states.items())
      if name == current or state == "runs"
    ]
    for number, (name, state) in enumerate(self._states.items()):
      near = any(abs(number - place) <= _AROUND for place in places)
      if near or state == "failed":
        table.add_row(name, state, self._scores.get(name, ""))
    return table
