# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics as (sum, weight): they add across devices, micro-batches and steps.

Division happens once, at the end. A mean of means would weigh a batch with few
masked tokens as much as one with many.
"""

from collections.abc import Mapping, Sequence
from typing import SupportsFloat

import jax
import jax.numpy as jnp

Array = jax.Array
Metrics = dict[str, tuple[Array, Array]]


def ratio(total: Array, weight: Array) -> Array:
  """Return total / weight, and 0 where the weight is 0."""
  # The inner `where` keeps the gradient of the branch not taken finite.
  empty = weight == 0
  return jnp.where(empty, 0.0, total / jnp.where(empty, 1.0, weight))


class MetricSums:
  """Adds up metrics on the host, in float64.

  Args:
    sums: the `sums()` of another accumulator, to continue from it.
  """

  def __init__(self, sums: Mapping[str, Sequence[float]] | None = None) -> None:
    self._sums: dict[str, tuple[float, float]] = {}
    self.add(sums or {})

  def add(self, metrics: Mapping[str, Sequence[SupportsFloat]]) -> None:
    """Add {name: (sum, weight)}; a new name starts at 0."""
    for name, (total, weight) in metrics.items():
      before = self._sums.get(name, (0.0, 0.0))
      self._sums[name] = (before[0] + float(total), before[1] + float(weight))

  def sums(self) -> dict[str, tuple[float, float]]:
    """Return {name: (sum, weight)}, JSON-able."""
    return dict(self._sums)

  def means(self) -> dict[str, float]:
    """Return {name: sum / weight} of all metrics whose weight is not 0."""
    return {
      name: total / weight
      for name, (total, weight) in self._sums.items()
      if weight
    }
