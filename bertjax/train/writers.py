# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics on disk: what the step determines, and apart from it the clock.

`metrics.jsonl` is byte-identical whether a run was killed or not: on a
restart the lines past the restored checkpoint are cut, and the part of a
window that was summed before it comes back with it (law 12). Clock values go
to `timing.jsonl`; `tensorboard/` has both, for looking at.
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import IO, Any

from bertjax.train import flops
from bertjax.train.hooks import Hook, StepRecord

METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"
EVENTS = "tensorboard"
_CLOCK = ("steps", "tokens", "seconds", "wait_seconds")


class MetricsWriter(Hook):
  """Writes a line of means every so many steps.

  Args:
    folder: the workdir; exists. What an older run left of `metrics.jsonl`
      is cut, unless `restore` says where to go on.
    every_steps: steps that a line is the mean of.
    start: the step that this process starts from.
    tensorboard: whether event files are written too.
    writes: whether anything is; else it only keeps count, as all processes
      but one do.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    *,
    every_steps: int,
    start: int = 0,
    tensorboard: bool = True,
    writes: bool = True,
  ) -> None:
    self._folder = pathlib.Path(folder)
    self._every_steps = every_steps
    self._window: dict[str, tuple[float, float]] = {}
    self._tokens = 0
    self._clock = dict.fromkeys(_CLOCK, 0.0)
    self._tensorboard = tensorboard
    self._writes = writes
    self._events: Any = None
    self._start = start
    self._size = 0  # of metrics.jsonl, in bytes
    self._files: list[IO[bytes]] = []

  @property
  def tokens(self) -> int:
    """Real tokens that the run has trained on so far."""
    return self._tokens

  def record(self, record: StepRecord) -> None:
    """Add one step; write a line where the period ends."""
    for name, (total, weight) in record.metrics.items():
      before = self._window.get(name, (0.0, 0.0))
      self._window[name] = (before[0] + total, before[1] + weight)
    self._tokens += int(record.metrics["tokens"][0])
    if not record.first:
      self._clock["steps"] += 1
      self._clock["tokens"] += record.metrics["tokens"][0]
      self._clock["seconds"] += record.seconds
      self._clock["wait_seconds"] += record.wait_seconds
    if record.step % self._every_steps == 0 or record.finished:
      self._line(record.step)

  def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    """Write one line of values to `metrics.jsonl` and to tensorboard."""
    self._append(METRICS, {"step": step, "split": split, **values})
    self._event(step, split, values)

  def snapshot(self) -> dict[str, Any]:
    """Return the open window and the tokens so far."""
    # Closed, and opened again by the next line: a mounted bucket gets a file
    # no earlier, and a checkpoint is not to know of lines that can be lost.
    for file in self._files:
      file.close()
    self._files = []
    window = {name: list(pair) for name, pair in self._window.items()}
    return {
      "metrics": {
        "window": window,
        "tokens": self._tokens,
        "size": self._size,
      }
    }

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Take back the open window, and the place to go on writing from."""
    saved = snapshot["metrics"]
    self._size = saved["size"]
    self._tokens = saved["tokens"]
    self._window = {
      name: (pair[0], pair[1]) for name, pair in saved["window"].items()
    }

  def close(self) -> None:
    """Close the files."""
    for file in self._files:
      file.close()
    if self._events is not None:
      self._events.close()

  def _line(self, step: int) -> None:
    means = {
      name: total / weight
      for name, (total, weight) in self._window.items()
      if weight and name not in flops.COUNTS
    }
    self.write(step, "train", {"tokens": self._tokens, **means})
    self._window = {}
    clock, self._clock = self._clock, dict.fromkeys(_CLOCK, 0.0)
    if not clock["steps"]:
      return
    timing = {
      "step_seconds": clock["seconds"] / clock["steps"],
      "wait_share": clock["wait_seconds"] / clock["seconds"],
      "tokens_per_second": clock["tokens"] / clock["seconds"],
    }
    self._append(TIMING, {"step": step, **timing})
    self._event(step, "timing", timing)

  def _append(self, name: str, line: Mapping[str, Any]) -> None:
    if not self._writes:
      return
    if not self._files:
      # Only now: a run that is refused before its first line cuts nothing.
      self._files = [
        (self._folder / each).open("ab") for each in (METRICS, TIMING)
      ]
      self._size = min(self._size, self._files[0].tell())
      self._files[0].truncate(self._size)
    file = self._files[(METRICS, TIMING).index(name)]
    written = file.write((json.dumps(line) + "\n").encode())
    file.flush()
    if name == METRICS:
      self._size += written

  def _event(self, step: int, split: str, values: Mapping[str, float]) -> None:
    if not self._tensorboard or not self._writes:
      return
    if self._events is None:
      # Late: it takes a second to import, and more where torch is installed.
      from tensorboardX import SummaryWriter

      self._events = SummaryWriter(
        str(self._folder / EVENTS), purge_step=self._start + 1
      )
    for name, value in values.items():
      self._events.add_scalar(f"{split}/{name}", value, step)


def read(path: str | os.PathLike[str], split: str) -> list[dict[str, Any]]:
  """Return the lines of one split of a `metrics.jsonl`, in order."""
  lines = pathlib.Path(path).read_text().splitlines()
  parsed = [json.loads(line) for line in lines]
  return [line for line in parsed if line["split"] == split]
