# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is compared takes turns, so that other load slows all of it alike."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax

from benchmarks.figures import Figure
from launch.run import dtypes

# Does what is timed, and waits for it.
Step = Callable[[], object]
OURS, EAGER, COMPILED = "bertjax", "PyTorch", "torch.compile"
OURS_FLOAT32, OURS_ADAMW = "bertjax, float32", "bertjax, AdamW"
ONNX = "ONNX Runtime, float32"
# Seconds of each turn: of the wall, and of this process's processors.
Seconds = Mapping[str, list[tuple[float, float]]]
_UNTIMED = 2
# Seconds, in which the threads of another runtime go to sleep.
PAUSE = 0.05


def interleave(
  contenders: Mapping[str, Step], rounds: int, pause: float = 0.0
) -> dict[str, list[tuple[float, float]]]:
  """Run steps in turn; return (wall, processor) seconds of each.

  Args:
    contenders: steps by name.
    rounds: timed turns of each, after two untimed.
    pause: seconds before each turn, in which the threads of the one before go
      to sleep.
  """
  seconds: dict[str, list[tuple[float, float]]] = {
    name: [] for name in contenders
  }
  for turn in range(rounds + _UNTIMED):
    for name, run in contenders.items():
      time.sleep(pause)
      clock, processor = time.perf_counter(), time.process_time()
      run()
      spent = time.perf_counter() - clock, time.process_time() - processor
      if turn >= _UNTIMED:
        seconds[name].append(spent)
  return seconds


def describe(seconds: Seconds, tokens: int) -> Iterator[str]:
  """Yield a line for each contender, and for each peer of the first one.

  Args:
    seconds: what `interleave` returned.
    tokens: tokens of a turn.
  """
  width = max(map(len, seconds))
  for name, spent in seconds.items():
    clock, processor = (
      statistics.median(column) for column in zip(*spent, strict=True)
    )
    yield (
      f"{name:{width}} median {clock:.3f} s ({tokens / clock:.0f} tokens/s), "
      f"best {min(spent)[0]:.3f}; processor time {processor:.3f} s"
    )
  (ours, mine), *peers = seconds.items()
  for peer, theirs in peers:
    for column, what in enumerate(("wall time", "processor time")):
      ratios = [
        one[column] / other[column]
        for one, other in zip(theirs, mine, strict=True)
      ]
      yield (
        f"{peer} / {ours}, {what}: median of {len(ratios)} turns "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to "
        f"{max(ratios):.2f})"
      )


def compare(
  what: str, seconds: Seconds, goals: Mapping[str, str] | None = None
) -> Iterator[Figure]:
  """Yield a figure for each peer, or one without a peer.

  Args:
    what: what a turn does.
    seconds: what `interleave` returned; the first one is ours.
    goals: goal of the ratio to a peer, where there is one.
  """
  (_, ours), *peers = ((name, median(spent)) for name, spent in seconds.items())
  if not peers:
    yield Figure(what, ours, "s")
  for name, peer in peers:
    yield Figure(what, ours, "s", peer, name, (goals or {}).get(name, ""))


def median(spent: Sequence[tuple[float, float]]) -> float:
  """Return the median seconds of the wall of a contender's turns."""
  return statistics.median(clock for clock, _ in spent)


def dtype_words(dtype: str) -> str:
  """Return a dtype, and what this machine computes instead."""
  lacks = dtypes.find_obstacle(dtype, jax.devices()[0])
  return f"{dtype} (products in float32)" if lacks else dtype
