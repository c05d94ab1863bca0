# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A task: the interface between losses and the train step.

A task reports its losses as {name: (sum, weight)}. The weights of the whole
global batch are known before the batch is cut for devices and micro-batches,
and each part differentiates Σₖ coefficientₖ · sumₖ / Wₖ(global): the sum over
the parts then equals the large batch, however much the mask counts of the
parts differ (docs/design.md, law 4).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax

from bertjax.batch import Feature
from bertjax.objectives.metrics import Metrics

# Names to arrays, or to trees of arrays, with the rows as first axis.
Features = Mapping[str, Any]


class LossFunction(Protocol):
  """Losses and accuracies of some rows, as sums and weights."""

  def __call__(
    self, params: Any, batch: Features, *, rng: jax.Array, deterministic: bool
  ) -> Metrics:
    """Return {name: (sum, weight)}; `rng` is the key of dropout."""
    ...


def identity(tree: Any) -> Any:
  """Return `tree`: no preparation of a batch, no copy of parameters."""
  return tree


@dataclasses.dataclass(frozen=True)
class Task:
  """Losses, and how a batch and the parameters are prepared for them.

  Attributes:
    losses: losses and reported metrics of some rows.
    coefficients: {name of a loss: its factor in the total}; metrics of other
      names are only reported.
    weights: prepared global batch → the weight of each differentiated loss.
    features: the arrays of a batch; a batch of anything else is refused.
    prepare: global batch → the batch that `losses` and `weights` read
      (masking).
    compute_copy: parameters → the same in the dtypes that `losses` reads.
  """

  losses: LossFunction
  coefficients: Mapping[str, float]
  weights: Callable[[Features], Mapping[str, jax.Array]]
  features: Mapping[str, Feature]
  prepare: Callable[[Features], Features] = identity
  compute_copy: Callable[[Any], Any] = identity
