# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Grafting weights: strict, and it reports (law 9)."""

import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax

from bertjax.model.parameters import by_name, leaf_name

logger = logging.getLogger(__name__)


def graft(target: Any, source: Any, *, skip: Sequence[str] = ()) -> Any:
  """Return `target` with every leaf that is not skipped taken from `source`.

  Args:
    target: parameters, or their shapes where none is skipped; what is taken
      goes where its leaf lies.
    source: parameters of the same names.
    skip: regular expressions that match whole names ("pooler/.*"): on the
      side of `target` these stay as they are, on the side of `source` they
      are left out.

  Raises:
    ValueError: a name on one side only, another shape or dtype, or an
      expression that matches nothing; both sides are named.
  """
  ours, theirs = by_name(target), by_name(source)
  patterns = [re.compile(pattern) for pattern in skip]
  for pattern in patterns:
    if not any(pattern.fullmatch(name) for name in (*ours, *theirs)):
      raise ValueError(
        f"skip={pattern.pattern!r} matches nothing; target has "
        f"{_listed(ours)}, source has {_listed(theirs)}"
      )
  skipped = lambda name: any(pattern.fullmatch(name) for pattern in patterns)
  wanted = {name for name in ours if not skipped(name)}
  offered = {name for name in theirs if not skipped(name)}
  if wanted != offered:
    raise ValueError(
      f"only the target has {_listed(wanted - offered)}; only the source has "
      f"{_listed(offered - wanted)}; skip what is meant to differ"
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


def _listed(names: Iterable[str]) -> str:
  return ", ".join(sorted(names)) or "nothing"
