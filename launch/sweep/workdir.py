# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that a study writes, checked before anything is read."""

from bertjax.config import SweepConfig
from bertjax.trials.store import IDENTITY
from launch.commands import output_paths
from launch.run.stores import check_outside_inputs
from launch.sweep.report import REPLACED


def check_workdir(config: SweepConfig, workdir: str) -> None:
  """Refuse a folder that cannot be made, is in what is read, or is another's.

  Raises:
    ValueError: `workdir` is such a folder.
  """
  output_paths.check_folder("workdir", workdir)
  output_paths.check_begun("workdir", workdir, REPLACED, (IDENTITY,))
  output_paths.check_outside(
    "workdir", workdir, {"config.bundle": config.bundle}
  )
  check_outside_inputs(
    "workdir", workdir, config.pretrain, prefix="config.pretrain."
  )
