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
  """

  arrays: Batch
  length_N: np.ndarray
  owner_N: np.ndarray
  examples: Sequence[Any] = ()

  def __getitem__(self, name: str) -> np.ndarray:
    """Return an array by its name, such as `label_N`."""
    return self.arrays[name]


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
