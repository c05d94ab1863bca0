# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics as (sum, weight): they add across devices, micro-batches and steps.

Division happens once, at the end. A mean of means would weigh batches with
few masked pieces as much as those with many.
"""

import jax
import jax.numpy as jnp

Array = jax.Array
Metrics = dict[str, tuple[Array, Array]]


def add(left: Metrics, right: Metrics) -> Metrics:
  """Add two sets of metrics of the same names."""
  if left.keys() != right.keys():
    raise ValueError(f"metrics {sorted(left)} and {sorted(right)} do not add")
  return {
    name: (total + right[name][0], weight + right[name][1])
    for name, (total, weight) in left.items()
  }


def ratio(total: Array, weight: Array) -> Array:
  """Return total / weight, and 0 where the weight is 0."""
  # The inner choice keeps the untaken branch, and its gradient, finite.
  empty = weight == 0
  return jnp.where(empty, 0.0, total / jnp.where(empty, 1.0, weight))


def ratios(metrics: Metrics) -> dict[str, float]:
  """Divide once, on the host; a metric of weight 0 has no value: left out."""
  pairs = jax.device_get(metrics)
  return {
    name: float(total / weight)
    for name, (total, weight) in pairs.items()
    if weight > 0
  }
