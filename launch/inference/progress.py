# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How far a file of texts is: a bar on a terminal, lines in a log."""

import sys
import time
from typing import Self

import rich.console
import rich.progress

_LINE_SECONDS = 10.0  # between two lines in a log


def rows_are(count: int) -> str:
  """Return a number of rows and the verb, the subject of a sentence."""
  return "1 row is" if count == 1 else f"{count:,} rows are"


class Progress:
  """Shows rows and rows a second on standard error.

  Args:
    total: number of rows; None if it is not known.
    done: rows that were done before.
  """

  def __init__(self, total: int | None, done: int = 0) -> None:
    self._total, self._done, self._before = total, done, done
    self._begun = self._shown = time.monotonic()
    console = rich.console.Console(stderr=True)
    self._bar = rich.progress.Progress(
      rich.progress.TextColumn("{task.fields[note]}"),
      rich.progress.BarColumn(),
      rich.progress.TaskProgressColumn(),
      rich.progress.TimeRemainingColumn(),
      console=console,
      disable=not console.is_terminal,
    )
    self._is_log = not console.is_terminal

  def __enter__(self) -> Self:
    self._bar.start()
    self._task = self._bar.add_task("", total=self._total, note="rows")
    return self

  def __exit__(self, *_: object) -> None:
    self._bar.stop()

  def advance(self, rows: int) -> None:
    """Count rows, and show them."""
    self._done += rows
    note = self.summary()
    self._bar.update(self._task, completed=self._done, note=note)
    now = time.monotonic()
    if self._is_log and now - self._shown > _LINE_SECONDS:
      self._shown = now
      share = f" ({self._done / self._total:.0%})" if self._total else ""
      print(note + share, file=sys.stderr, flush=True)

  def summary(self) -> str:
    """Return the number of rows, and rows a second since the start."""
    seconds = max(time.monotonic() - self._begun, 1e-9)
    rate = (self._done - self._before) / seconds
    noun = "row" if self._done == 1 else "rows"
    return f"{self._done:,} {noun}, {rate:,.0f} rows/s"
