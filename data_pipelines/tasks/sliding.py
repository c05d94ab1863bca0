# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Overlapping windows over texts that are longer than a row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bertjax.config import TaskConfig


class Window(NamedTuple):
  """A part of a text: its first token, and the token after its last one."""

  start: int
  stop: int


def slide(length: int, size: int, stride: int) -> list[Window]:
  """Return windows that have every token of a text (run_squad.py of BERT).

  Args:
    length: tokens of the text; one of 0 has an empty window.
    size: largest number of tokens of a window.
    stride: tokens from the start of a window to that of the next one. It is
      `size` at most, so that no token is skipped.
  """
  windows = [Window(0, min(length, size))]
  while windows[-1].stop < length:
    start = windows[-1].start + min(stride, size)
    windows.append(Window(start, min(length, start + size)))
  return windows


def most_context(windows: Sequence[Window], length: int) -> np.ndarray:
  """Return the window in which each token has most context.

  A token has as much context as it has neighbors on the side that has fewer.
  Of windows with equal context the longer one counts, then the first one
  (`_check_is_max_context` of run_squad.py).

  Args:
    windows: windows that have every token.
    length: tokens of the text.

  Returns:
    int64 [length], numbers of windows; they do not decrease.
  """
  most_T = np.full(length, -1.0)
  found_T = np.zeros(length, np.int64)
  for number, window in enumerate(windows):
    size = window.stop - window.start
    left_S = np.arange(size)
    context_S = np.minimum(left_S, left_S[::-1]) + 0.01 * size
    here = slice(window.start, window.stop)
    is_more_S = context_S > most_T[here]
    most_T[here] = np.where(is_more_S, context_S, most_T[here])
    found_T[here] = np.where(is_more_S, number, found_T[here])
  return found_T


def pooling_settings(config: TaskConfig) -> dict[str, float]:
  """Return how long texts are divided, and how their windows are pooled.

  They are settings of the data, which the record of a head keeps; nothing for
  texts that are cut.
  """
  if config.long_texts == "cut":
    return {}
  if config.long_texts == "attention":
    return {"stride": config.stride, "pool_attention": 1.0}
  return {
    "stride": config.stride,
    "pool_max": float(config.long_texts == "max"),
  }
