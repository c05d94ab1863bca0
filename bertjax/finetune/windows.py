# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays by window instead of by row: what scores and answers read.

A window is what stands in one pack of a row: an example, or a part of one that
is longer than a row. The axes B and R of a batch become N, the windows in the
order of their examples: `label_BR` becomes `label_N`, `logits_BRC` becomes
`logits_NC`. An array over positions, such as `logits_BSC`, becomes
`logits_NSC`: position 0 is the window's [CLS], and what is past its length is
zeros.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertjax.batch import Batch


@dataclasses.dataclass(frozen=True)
class Places:
  """Where the windows of some rows stand; see `find`."""

  row_N: np.ndarray
  pack_N: np.ndarray
  start_N: np.ndarray
  length_N: np.ndarray


@dataclasses.dataclass(frozen=True)
class Windows:
  """The windows of a split, and their examples.

  Attributes:
    arrays: the arrays of its batches, by window.
    length_N: number of tokens of each window.
    owner_N: number of the example of each window, ascending.
    examples: what the reader kept of each example; may be empty.
    labels: name of each class; empty where outputs are not classes.
    settings: numbers that scores and answers depend on: those of the data, and
      those that dev has tuned.
  """

  arrays: Batch
  length_N: np.ndarray
  owner_N: np.ndarray
  examples: Sequence[Any] = ()
  labels: Sequence[str] = ()
  settings: Mapping[str, float] = dataclasses.field(default_factory=dict)

  def __getitem__(self, name: str) -> np.ndarray:
    """Return an array by its name, such as `label_N`."""
    return self.arrays[name]

  def take(self, examples: np.ndarray) -> "Windows":
    """Return the windows of some examples, in the order of these."""
    first_E, stop_E = (
      np.searchsorted(self.owner_N, examples, side)
      for side in ("left", "right")
    )
    chosen_N = np.concatenate(
      [np.arange(*each) for each in zip(first_E, stop_E, strict=True)]
    )
    return dataclasses.replace(
      self,
      arrays={name: array[chosen_N] for name, array in self.arrays.items()},
      length_N=self.length_N[chosen_N],
      owner_N=np.repeat(np.arange(len(examples)), stop_E - first_E),
      examples=[self.examples[i] for i in examples]
      if len(self.examples)
      else (),
    )

  def tuned(self, settings: Mapping[str, float]) -> "Windows":
    """Return the windows with more settings."""
    return dataclasses.replace(self, settings={**self.settings, **settings})


def find(
  packs_BS: np.ndarray, starts_BR: np.ndarray, window_BR: np.ndarray
) -> Places:
  """Return where each window stands.

  Args:
    packs_BS: packs of some rows.
    starts_BR: where they start.
    window_BR: number of the window in each pack, each number once; -1 in an
      empty pack.
  """
  row_N, pack_N = np.nonzero(window_BR >= 0)
  order_N = np.argsort(window_BR[row_N, pack_N])
  row_N, pack_N = row_N[order_N], pack_N[order_N]
  numbers_R = np.arange(1, window_BR.shape[1] + 1)
  length_BR = np.stack(
    [np.count_nonzero(packs_BS == number, axis=1) for number in numbers_R],
    axis=1,
  )
  return Places(
    row_N, pack_N, starts_BR[row_N, pack_N], length_BR[row_N, pack_N]
  )


def by_window(arrays: Mapping[str, np.ndarray], places: Places) -> Batch:
  """Return arrays over rows, by window.

  Args:
    arrays: names end in the axes, which begin with BR or BS.
    places: where the windows stand.
  """
  longest = int(places.length_N.max())
  offsets_S = np.arange(longest)
  is_real_NS = offsets_S < places.length_N[:, None]
  found = {}
  for name, array in arrays.items():
    stem, _, axes = name.rpartition("_")
    if axes.startswith("BR"):
      found[f"{stem}_N{axes[2:]}"] = array[places.row_N, places.pack_N]
      continue
    position_NS = np.minimum(
      places.start_N[:, None] + offsets_S, array.shape[1] - 1
    )
    taken = array[places.row_N[:, None], position_NS]
    taken[~is_real_NS] = 0
    found[f"{stem}_NS{axes[2:]}"] = taken
  return found


def pool(outputs: Batch, windows: Windows) -> tuple[Batch, Windows]:
  """Return outputs and targets by example; a long one has several windows.

  The output of an example is the mean output of its windows, or the largest one
  with `pool_max` among the settings. With an output `attention_N` it is a mean
  with weights, the softmax of that over the windows. The targets of an example
  are in its first window.

  Args:
    outputs: arrays with one value or vector for each window.
    windows: the windows.
  """
  count_E = np.bincount(windows.owner_N)
  if len(count_E) == len(windows.owner_N):
    return outputs, windows
  first_E = np.cumsum(count_E) - count_E
  pooled = {}
  for name, array_N in _weigh(outputs, count_E).items():
    if windows.settings.get("pool_max"):
      pooled[name] = np.maximum.reduceat(array_N, first_E, axis=0)
      continue
    sums_E = np.add.reduceat(array_N.astype(np.float64), first_E, axis=0)
    pooled[name] = sums_E / count_E.reshape(-1, *(1,) * (array_N.ndim - 1))
  return pooled, dataclasses.replace(
    windows,
    arrays={name: array[first_E] for name, array in windows.arrays.items()},
    length_N=windows.length_N[first_E],
    owner_N=np.arange(len(count_E)),
  )


def _weigh(outputs: Batch, count_E: np.ndarray) -> Batch:
  """Return outputs times what attention gives their windows, if it does.

  The weights of an example are a softmax whose mean is 1.
  """
  if "attention_N" not in outputs:
    return outputs
  first_E = np.cumsum(count_E) - count_E
  score_N = outputs["attention_N"].astype(np.float64)
  largest_E = np.maximum.reduceat(score_N, first_E)
  weight_N = np.exp(score_N - np.repeat(largest_E, count_E))
  weight_N /= np.repeat(np.add.reduceat(weight_N, first_E) / count_E, count_E)
  return {
    name: (weight_N * array_N.T).T
    for name, array_N in outputs.items()
    if name != "attention_N"
  }
