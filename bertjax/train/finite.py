# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Refuse to go on from values of nan or infinity, and to save them.

A checkpoint of such a state has digests that match: every restart would take it
and fail one step later (docs/design.md, law 8).
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.train.state import TrainState

_DIVERGED = (
  "the run has diverged; lower optimizer.learning_rate or lengthen "
  "optimizer.warmup_steps"
)


class Diverged(ValueError):
  """A loss, a gradient, a parameter or an evaluation is nan or infinite."""


def check_values(values: Mapping[str, float], where: str) -> None:
  """Check named numbers.

  Raises:
    Diverged: a value is nan or infinite, with its name.
  """
  for name, value in values.items():
    if not math.isfinite(value):
      raise Diverged(f"{name} is {value} at {where}: {_DIVERGED}")


def check_state(state: TrainState, step: int) -> None:
  """Check the parameters and the optimizer state after a step.

  Raises:
    Diverged: an array has a value of nan or infinity, with its name.
  """
  flags = jax.device_get(
    are_finite({"params": state.params, "opt_state": state.opt_state})
  )
  broken = [
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, whole in jax.tree.leaves_with_path(flags)
    if not whole
  ]
  if broken:
    raise Diverged(
      f"{broken[0]} ({len(broken)} arrays) has values of nan or infinity after "
      f"step {step}, which is not saved: {_DIVERGED}"
    )


@jax.jit
def are_finite(tree: Any) -> Any:
  """Return one flag for each array.

  They come from one program: on virtual CPU devices, programs with collectives
  that run at the same time can wait for each other's threads until they are
  ended.
  """
  return jax.tree.map(lambda leaf: jnp.all(jnp.isfinite(leaf)), tree)
