# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Graft parameters from one tree onto another, strictly (law 9)."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.model.parameters import (
  Parameter,
  by_name,
  is_under,
  leaf_name,
  map_parameters,
)

logger = logging.getLogger(__name__)


def graft(target: Any, source: Any, *, skip: Sequence[str] = ()) -> Any:
  """Return `target` with every leaf that is not skipped taken from `source`.

  Args:
    target: parameters, or their shapes if nothing is skipped. A parameter from
      `source` is placed with the sharding of its leaf here.
    source: parameters of the same names.
    skip: paths such as "pooler" or "encoder/layers". The parameters below them
      stay as they are in `target`, and are left out of `source`.

  Raises:
    ValueError: a name on one side only, another shape or dtype, or a path in
      `skip` without a parameter on either side; both sides are named.
  """
  ours, theirs = by_name(target), by_name(source)
  for prefix in skip:
    if not any(is_under(name, [prefix]) for name in (*ours, *theirs)):
      raise ValueError(
        f"skip={prefix!r} matches nothing; target has {_listed(ours)}, source "
        f"has {_listed(theirs)}"
      )
  wanted = {name for name in ours if not is_under(name, skip)}
  offered = {name for name in theirs if not is_under(name, skip)}
  if wanted != offered:
    raise ValueError(
      f"only the target has {_listed(wanted - offered)}; only the source has "
      f"{_listed(offered - wanted)}; name in `skip` the parts that may differ"
    )
  for name in sorted(wanted):
    old, new = ours[name], theirs[name]
    if (old.shape, old.dtype) != (new.shape, new.dtype):
      raise ValueError(
        f"{name} is {new.dtype}{list(new.shape)} in the source and "
        f"{old.dtype}{list(old.shape)} in the target"
      )
  logger.info(
    "grafted %d parameters, kept %s, left out %s",
    len(wanted),
    _listed(ours.keys() - wanted),
    _listed(theirs.keys() - offered),
  )
  return jax.tree.map_with_path(
    lambda path, leaf: (
      jax.device_put(theirs[name], leaf.sharding)
      if (name := leaf_name(path)) in wanted
      else leaf
    ),
    target,
  )


def with_highest_layers(target: Any, source: Any, count: int) -> Any:
  """Return `target` with the highest layers of the encoder from `source`.

  Args:
    target: parameters.
    source: parameters of the same names and shapes.
    count: number of layers to take.
  """

  def choose(row: Parameter, ours: jax.Array, theirs: jax.Array) -> jax.Array:
    if not row.is_stacked:
      return ours
    is_high_L = jnp.arange(len(ours)) >= len(ours) - count
    shape = (len(ours), *(1,) * (ours.ndim - 1))
    return jnp.where(is_high_L.reshape(shape), theirs, ours)

  return map_parameters(choose, target, source)


def _listed(names: Iterable[str]) -> str:
  return ", ".join(sorted(names)) or "nothing"
