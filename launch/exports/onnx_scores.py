# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The scores of a model's own task, from the outputs of its graphs."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from bertjax.batch import Batch
from bertjax.finetune.task import FinetuneTask, Scores
from bertjax.finetune.windows import Windows, pool
from bertjax.trials.markdown import markdown

Outputs = Mapping[str, np.ndarray]
# The output of every graph that has a vector for each text, or for each token.
_LOGITS = "logits"


@dataclasses.dataclass(frozen=True)
class GraphScores:
  """The scores of a float32 graph and of one with integers of 8 bits.

  Attributes:
    metric: the score that says how good the model is.
    exact: scores of the float32 graph.
    narrow: scores of the other one.
  """

  metric: str
  exact: Scores
  narrow: Scores

  @property
  def judged(self) -> tuple[float, float]:
    """The metric of both graphs."""
    return self.exact[self.metric], self.narrow[self.metric]

  def table(self) -> str:
    """Return a table of all scores, the metric first."""
    names = sorted(self.exact, key=lambda name: name != self.metric)
    rows = [
      [name, f"{self.exact[name]:.4f}", f"{self.narrow[name]:.4f}"]
      for name in names
    ]
    return markdown(["score", "float32", "int8"], rows)


@dataclasses.dataclass(frozen=True)
class Labeled:
  """Texts, and what is wanted of them.

  Attributes:
    task: the task of the model.
    metric: the score that says how good a model is.
    windows: the windows of the texts; an example is a text, or one with its
      choices.
  """

  task: FinetuneTask
  metric: str
  windows: Windows

  def take(self, examples: np.ndarray) -> Self:
    """Return some of the texts."""
    return dataclasses.replace(self, windows=self.windows.take(examples))

  def rows(self) -> list[Batch]:
    """Return `ENCODER_FEATURES` of each example alone, a row a window.

    Windows that are shorter than another one of their text are padded.
    """
    windows = self.windows
    bounds = np.searchsorted(
      windows.owner_N, np.arange(windows.owner_N[-1] + 2)
    )
    return [
      _features(windows, slice(first, stop))
      for first, stop in itertools.pairwise(bounds.tolist())
    ]

  def by_window(self, outputs: Sequence[Outputs]) -> Batch:
    """Return outputs of a graph under the names that the task reads.

    Args:
      outputs: those for the rows of each example.
    """
    length_N = self.windows.length_N
    longest = int(length_N.max())
    is_real_NS = np.arange(longest) < length_N[:, None]
    found = {}
    for name in outputs[0]:
      arrays = [each[name] for each in outputs]
      is_vector = name == _LOGITS
      has_positions = arrays[0].ndim > 1 + is_vector
      if has_positions:
        arrays = [_padded(array, longest) for array in arrays]
      joined = np.concatenate(arrays)
      if has_positions:
        joined[~is_real_NS] = 0
      found[f"{name}_N{'S' * has_positions}{'C' * is_vector}"] = joined
    return found

  def score(self, outputs: Batch) -> Scores:
    """Return the scores of what `by_window` returned."""
    with np.errstate(all="ignore"):  # a graph may give infinities
      return self.task.scores(outputs, self.windows)

  def pooled(self, outputs: Batch) -> np.ndarray | None:
    """Return the logits of each text of what `by_window` returned.

    None where the task gives no text logits of its own.
    """
    if not self.task.pools or self.task.compares:
      return None
    return pool(outputs, self.windows)[0]["logits_NC"]


def _features(windows: Windows, some: slice) -> Batch:
  length_B = windows.length_N[some]
  longest = int(length_B.max())
  features = {
    f"{name}_BS": windows[f"{name}_NS"][some, :longest]
    for name in ("tokens", "types", "positions")
  }
  is_real_BS = np.arange(longest) < length_B[:, None]
  features["packs_BS"] = is_real_BS.astype(np.int32)
  features["starts_BR"] = np.zeros((len(length_B), 1), np.int32)
  return features


def _padded(array: np.ndarray, longest: int) -> np.ndarray:
  widths = [(0, 0)] * array.ndim
  widths[1] = (0, longest - array.shape[1])
  return np.pad(array, widths)
