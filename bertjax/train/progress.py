# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The progress line of a run."""

import collections
import contextlib
import contextvars
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bertjax.objectives.metrics import MetricSums
from bertjax.train.hooks import Hook, StepRecord

# The number of steps that the rates and means of a line are over.
WINDOW = 50
# The console of a command that shows several runs; None makes one for a run.
_console: contextvars.ContextVar[Console | None] = contextvars.ContextVar(
  "console", default=None
)


# Takes a line of each run that prints none; None where nobody shows them.
_listener: contextvars.ContextVar[Callable[[str], None] | None] = (
  contextvars.ContextVar("listener", default=None)
)
# Time between two lines that a listener takes.
_TELLS_EVERY = 1.0


@contextlib.contextmanager
def on_console(console: Console) -> Iterator[None]:
  """Have the runs inside of this context print to one console.

  Two live displays on a terminal have to know each other.
  """
  token = _console.set(console)
  try:
    yield
  finally:
    _console.reset(token)


@contextlib.contextmanager
def told_to(listener: Callable[[str], None]) -> Iterator[None]:
  """Have fine-tuning inside of this context tell how far it is, in lines."""
  token = _listener.set(listener)
  try:
    yield
  finally:
    _listener.reset(token)


def make_tellers(steps: int) -> tuple[Hook, ...]:
  """Return hooks that tell the listener of a run of so many steps, if any."""
  listener = _listener.get()
  return () if listener is None else (Teller(steps, listener),)


@dataclasses.dataclass(frozen=True)
class Meter:
  """How FLOPs are measured.

  Attributes:
    flops: metrics of a step → its model FLOPs; None shows none.
    peak: peak FLOP/s of all devices together; None shows no MFU.
  """

  flops: Callable[[Mapping[str, tuple[float, float]]], float] | None = None
  peak: float | None = None


class Progress(Hook):
  """A live line on a terminal, or else a plain line every few seconds.

  Args:
    steps: number of steps of the whole run.
    meter: how FLOPs are measured.
    shown: names of the metrics to show, for example "mlm_loss".
    console: where lines are printed; None is that of `on_console`, or standard
      output.
    quiet: count, and print nothing; for all processes but one.
    every_seconds: time between plain lines.
    steps_left: step → the steps that are left, in units of that step's time;
      None takes `steps` − step.
  """

  def __init__(
    self,
    steps: int,
    meter: Meter,
    *,
    shown: Sequence[str],
    console: Console | None = None,
    quiet: bool = False,
    every_seconds: float = 5.0,
    steps_left: Callable[[int], float] | None = None,
  ) -> None:
    self._steps = steps
    self._meter = meter
    self._shown = shown
    console = console or (None if quiet else _console.get())
    self._console = console or Console(highlight=False, quiet=quiet)
    self._every_seconds = every_seconds
    self._steps_left = steps_left or (lambda step: steps - step)
    self._window: collections.deque[StepRecord] = collections.deque(
      maxlen=WINDOW
    )
    self._live: Live | None = None
    self._printed = -math.inf
    self._tokens = 0.0
    self._seconds = 0.0

  @property
  def name(self) -> str:
    """The key of its snapshot in a checkpoint."""
    return "progress"

  @property
  def tokens_per_second(self) -> float:
    """Tokens a second over all steps, without padding and compile time."""
    return self._tokens / self._seconds if self._seconds else 0.0

  def say(self, text: str) -> None:
    """Print `text` above the live line."""
    self._console.print(text, soft_wrap=True)

  def record(self, record: StepRecord) -> None:
    """Add one step, and show the line."""
    if record.first:
      # Its time is mostly compile time, and the steps before it may have had
      # another shape: neither predicts the next steps.
      self._window.clear()
      self._show(record, self.line([record]).split("  ETA")[0] + "  compiled")
      return
    self._window.append(record)
    self._tokens += record.metrics["tokens"][0]
    self._seconds += record.seconds
    self._show(record, self.line(self._window))

  def line(self, records: Sequence[StepRecord]) -> str:
    """Return the line for `records`, of which the last is the latest."""
    last = records[-1]
    seconds = sum(record.seconds for record in records)
    waited = sum(record.wait_seconds for record in records)
    tokens = sum(record.metrics["tokens"][0] for record in records)
    parts = [f"step {last.step}/{self._steps}", *self._means(records)]
    parts.append(f"{tokens / seconds:,.0f} tokens/s")
    if self._meter.flops is not None:
      rate = sum(map(self._meter.flops, (r.metrics for r in records))) / seconds
      parts.append(f"{_scaled(rate)}FLOP/s")
      if self._meter.peak:
        parts.append(f"MFU {rate / self._meter.peak:.1%}")
    parts.append(f"input wait {waited / seconds:.0%}")
    left = self._steps_left(last.step) * seconds / len(records)
    parts.append(f"ETA {_clock(left)}")
    return "  ".join(parts)

  def snapshot(self) -> dict[str, Any]:
    """Return the totals, so that the mean speed includes earlier starts."""
    return {"tokens": self._tokens, "seconds": self._seconds}

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Restore the totals."""
    self._tokens = snapshot["tokens"]
    self._seconds = snapshot["seconds"]

  def close(self) -> None:
    """Remove the live line from the terminal."""
    if self._live is not None:
      self._live.stop()
      self._live = None

  def _means(self, records: Sequence[StepRecord]) -> list[str]:
    sums = MetricSums()
    for record in records:
      sums.add(record.metrics)
    means = sums.means()
    return [
      f"{name.replace('_', ' ')} {means[name]:.3f}"
      for name in self._shown
      if name in means
    ]

  def _show(self, record: StepRecord, line: str) -> None:
    if self._console.is_terminal:
      if self._live is None:
        self._live = Live(
          console=self._console, auto_refresh=False, transient=True
        )
        self._live.start()
      self._live.update(Text(line))
      now = time.monotonic()
      if now - self._printed > 0.1 or record.finished:
        self._live.refresh()
        self._printed = now
      return
    now = time.monotonic()
    if now - self._printed >= self._every_seconds or record.finished:
      self._console.print(line, soft_wrap=True)
      self._printed = now


class Teller(Hook):
  """Tells a listener step, loss and tokens a second, about once a second.

  Of several runs that are trained at once it tells the mean loss, and the
  tokens of all.

  Args:
    steps: number of steps of the run.
    listener: takes a line.
  """

  def __init__(self, steps: int, listener: Callable[[str], None]) -> None:
    self._steps = steps
    self._listener = listener
    self._told = -math.inf
    self._tokens = 0.0
    self._seconds = 0.0

  def record(self, record: StepRecord) -> None:
    """Take a step, and tell it if it is time."""
    if not record.first:  # its time is mostly compile time
      self._tokens += float(np.sum(record.metrics["tokens"][0]))
      self._seconds += record.seconds
    now = time.monotonic()
    if now - self._told < _TELLS_EVERY and not record.finished:
      return
    total, weight = (float(np.sum(each)) for each in record.metrics["loss"])
    text = f"step {record.step:,}/{self._steps:,}  loss {total / weight:.4f}"
    if self._seconds:
      text += f"  {self._tokens / self._seconds:,.0f} tokens/s"
    self._listener(text)
    self._told, self._tokens, self._seconds = now, 0.0, 0.0


def _scaled(value: float) -> str:
  for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9)):
    if value >= size:
      return f"{value / size:.2f} {prefix}"
  return f"{value / 1e6:.2f} M"


def _clock(seconds: float) -> str:
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return (
    f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
  )
