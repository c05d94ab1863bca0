# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics on disk, and times in a file of their own.

`metrics.jsonl` holds only what the steps determine. It is byte-identical
whether a run was killed or not: when a run is resumed, lines past the restored
checkpoint are cut, and the checkpoint holds the sums of the line that was not
written yet (docs/design.md, law 12). Times go to `timing.jsonl`;
`tensorboard/`, and Weights & Biases where it is asked for, get both.
"""

import json
import logging
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import IO, Any

from bertjax import files
from bertjax.objectives.metrics import MetricSums
from bertjax.train import flops
from bertjax.train.events import Events, Tensorboard, Wandb
from bertjax.train.hooks import Hook, StepRecord

METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"
logger = logging.getLogger(__name__)
_CLOCK = ("steps", "tokens", "seconds", "wait_seconds")


class MetricsWriter(Hook):
  """Write a line of means every `every_steps` steps.

  Args:
    folder: the workdir; exists. An older `metrics.jsonl` in it is cut to
      nothing, or to the size that `restore` is given.
    every_steps: steps that a line is the mean of.
    start: the step that this process starts from.
    tensorboard: whether to write event files as well.
    wandb: takes the values as well, once `connect` was called.
    writes: False counts and writes nothing; for all processes but one.
    guard: called before the files are opened; raises where this process must
      not change them.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    *,
    every_steps: int,
    start: int = 0,
    tensorboard: bool = True,
    wandb: Wandb | None = None,
    writes: bool = True,
    guard: Callable[[], None] = lambda: None,
  ) -> None:
    self._folder = pathlib.Path(folder)
    self._every_steps = every_steps
    self._sums = MetricSums()  # since the last line
    self._tokens = 0
    self._clock = dict.fromkeys(_CLOCK, 0.0)
    self._wandb = wandb
    self._events: list[Events] = []
    if tensorboard and writes:
      self._events.append(Tensorboard(folder, start))
    self._writes = writes
    self._guard = guard
    self._start = start
    self._size = 0  # bytes of metrics.jsonl
    self._files: list[IO[bytes]] = []

  @property
  def name(self) -> str:
    """The key of its snapshot in a checkpoint."""
    return "metrics"

  @property
  def tokens(self) -> int:
    """Tokens that the run has trained on so far, without padding."""
    return self._tokens

  def connect(self) -> str:
    """Start or go on with the run at wandb, after `restore`.

    Returns:
      Where it can be seen; "" where there is none, or another process writes.

    Raises:
      ValueError: wandb refuses.
    """
    if self._wandb is None or not self._writes:
      return ""
    self._guard()
    place = self._wandb.connect()
    self._events.append(self._wandb)
    return place

  def record(self, record: StepRecord) -> None:
    """Add one step; write a line if a period ends."""
    self._sums.add(record.metrics)
    self._tokens += int(record.metrics["tokens"][0])
    if not record.first:
      self._clock["steps"] += 1
      self._clock["tokens"] += record.metrics["tokens"][0]
      self._clock["seconds"] += record.seconds
      self._clock["wait_seconds"] += record.wait_seconds
    if record.step % self._every_steps == 0 or record.finished:
      self._line(record.step)

  def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    """Write a line of values to `metrics.jsonl` and to all others."""
    self._append(METRICS, {"step": step, "split": split, **values})
    self._event(step, split, values)

  def snapshot(self) -> dict[str, Any]:
    """Return sums since the last line, tokens, file size, and wandb's id."""
    # A mounted bucket receives a file when it is closed, and a checkpoint must
    # not count lines that can still be lost. The next line opens it again.
    self._close_files()
    return {
      "window": self._sums.sums(),
      "tokens": self._tokens,
      "size": self._size,
      **({"wandb": self._wandb.id} if self._wandb and self._wandb.id else {}),
    }

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Restore the sums, the tokens, and the size to cut the file to."""
    self._size = snapshot["size"]
    self._tokens = snapshot["tokens"]
    self._sums = MetricSums(snapshot["window"])
    if self._wandb is not None:
      self._wandb.restore(snapshot.get("wandb", ""))
    path = self._folder / METRICS
    found = path.stat().st_size if path.exists() else 0
    if self._writes and found < self._size:
      logger.warning(
        "%s has %d bytes, and the checkpoint at step %d was saved when it had "
        "%d: lines of earlier steps are lost",
        path,
        found,
        self._start,
        self._size,
      )

  def close(self) -> None:
    """Close the files; `disconnect` is apart, since it may take long."""
    self._close_files()
    for events in self._events:
      if events is not self._wandb:
        events.close()

  def disconnect(self, exit_code: int = 0) -> None:
    """End the run at wandb, which waits until everything is uploaded.

    Args:
      exit_code: 0 where the run came to its end.
    """
    if self._wandb is not None:
      self._wandb.close(exit_code)

  def _close_files(self) -> None:
    for file in self._files:
      with files.naming(file.name):
        file.close()
    self._files = []

  def _line(self, step: int) -> None:
    means = self._sums.means()
    for name in flops.COUNTS:
      means.pop(name, None)
    self.write(step, "train", {"tokens": self._tokens, **means})
    self._sums = MetricSums()
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
      self._guard()
      # Opened late: a run that is refused before its first line cuts nothing.
      self._files = [
        (self._folder / each).open("ab") for each in (METRICS, TIMING)
      ]
      self._size = min(self._size, self._files[0].tell())
      self._files[0].truncate(self._size)
    file = self._files[(METRICS, TIMING).index(name)]
    # JSON has no nan; a value that is not finite has ended the run before.
    text = json.dumps(line, allow_nan=False)
    with files.naming(file.name):
      written = file.write(f"{text}\n".encode())
      file.flush()
    if name == METRICS:
      self._size += written

  def _event(self, step: int, split: str, values: Mapping[str, float]) -> None:
    for events in self._events:
      events.write(step, split, values)


def read(path: str | os.PathLike[str], split: str) -> list[dict[str, Any]]:
  """Return the lines of one split of a `metrics.jsonl`; see `read_lines`."""
  return [line for line in read_lines(path) if line["split"] == split]


def read_lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
  """Return the lines of a `metrics.jsonl` or `timing.jsonl`, in order.

  Return no lines if the file does not exist. A line that is being written,
  behind the last line break, is left out.

  Raises:
    ValueError: a line is no JSON.
  """
  if not pathlib.Path(path).exists():
    return []
  *whole, _ = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
  return [json.loads(line) for line in whole]


def read_rates(folder: str | os.PathLike[str]) -> list[float]:
  """Return the tokens per second of each line of a workdir's `timing.jsonl`."""
  lines = read_lines(pathlib.Path(folder) / TIMING)
  return [line["tokens_per_second"] for line in lines]
