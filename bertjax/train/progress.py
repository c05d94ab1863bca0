# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One line that tells how a run is doing."""

import collections
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bertjax.train.hooks import Hook, StepRecord

# Steps that the rates and means of a line are taken over.
WINDOW = 50


@dataclasses.dataclass(frozen=True)
class Meter:
  """How work is measured.

  Attributes:
    flops: metrics of a step → its model FLOPs; None leaves them out.
    peak: of all devices together, FLOP/s; None leaves MFU out.
  """

  flops: Callable[[Mapping[str, tuple[float, float]]], float] | None = None
  peak: float | None = None


class Progress(Hook):
  """A live line on a terminal, and else a plain one every few seconds.

  Args:
    steps: of the whole run.
    meter: how work is measured.
    shown: metrics to show, as ("mlm_loss", "mlm_accuracy").
    console: where to; None is standard output.
    quiet: count only, and say nothing; for all processes but one.
    every_seconds: between plain lines.
    steps_left: step → what is left, in steps as large as that one; None is
      the difference to `steps`.
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
  def tokens_per_second(self) -> float:
    """Real tokens a second over all steps, compiling left out."""
    return self._tokens / self._seconds if self._seconds else 0.0

  def say(self, text: str) -> None:
    """Print a line of its own, above the live one."""
    self._console.print(text, soft_wrap=True)

  def record(self, record: StepRecord) -> None:
    """Take one step in, and show it."""
    if record.first:
      # Its time says nothing about the next ones, nor what came before of
      # another shape.
      self._window.clear()
      self._show(record, self.line([record]).split("  ETA")[0] + "  compiled")
      return
    self._window.append(record)
    self._tokens += record.metrics["tokens"][0]
    self._seconds += record.seconds
    self._show(record, self.line(self._window))

  def line(self, records: Sequence[StepRecord]) -> str:
    """Return the line that tells of `records`, the last of which is now."""
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
    """Return the totals, so that a run's speed spans its restarts."""
    return {"progress": {"tokens": self._tokens, "seconds": self._seconds}}

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Take back the totals."""
    self._tokens = snapshot["progress"]["tokens"]
    self._seconds = snapshot["progress"]["seconds"]

  def close(self) -> None:
    """Leave the terminal as it was."""
    if self._live is not None:
      self._live.stop()
      self._live = None

  def _means(self, records: Sequence[StepRecord]) -> list[str]:
    means = []
    for name in self._shown:
      pairs = [record.metrics.get(name, (0.0, 0.0)) for record in records]
      weight = sum(pair[1] for pair in pairs)
      if weight:
        mean = sum(pair[0] for pair in pairs) / weight
        means.append(f"{name.replace('_', ' ')} {mean:.3f}")
    return means

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
