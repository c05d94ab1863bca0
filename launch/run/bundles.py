# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles that a run writes on its way, beside that of its end."""

import os
import pathlib

from bertjax.checkpoints.bundle import RECORD
from bertjax.config import PretrainConfig
from bertjax.parallel import multihost

BUNDLES = "bundles"


def bundle_steps(config: PretrainConfig) -> dict[float, int]:
  """Return {share of the steps: step} of the bundles on the way.

  A share whose step is that of the end has the run's own bundle.
  """
  steps = {
    share: max(1, round(share * config.steps))
    for share in sorted(config.checkpoint.bundles_at)
  }
  return {share: step for share, step in steps.items() if step < config.steps}


def bundle_path(workdir: str | os.PathLike[str], step: int) -> pathlib.Path:
  """Return the folder of the bundle that a run has written after a step."""
  return pathlib.Path(workdir) / BUNDLES / f"step_{step}"


def has_bundle(workdir: str | os.PathLike[str], step: int) -> bool:
  """Return whether the bundle of a step is complete, the same on all hosts."""
  return multihost.broadcast_from_first(
    "bundle of a step",
    lambda: (bundle_path(workdir, step) / RECORD).is_file(),
  )
