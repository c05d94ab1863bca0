# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that a study writes, checked before anything is read."""

from collections.abc import Mapping
from typing import Any

from bertjax.config import SweepConfig
from bertjax.trials.store import IDENTITY
from launch import tasks
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
    "workdir",
    workdir,
    {
      "config.bundle": config.bundle,
      **tasks.files_of(config.finetune.task, "config.finetune.task."),
      **_files("config.probes.tasks", config.probes.tasks),
      **_files("config.arms", config.arms),
    },
  )
  check_outside_inputs(
    "workdir", workdir, config.pretrain, prefix="config.pretrain."
  )


def _files(name: str, changes: Mapping[str, Any]) -> dict[str, str]:
  """Return {name of its flag: file} of data that changes of a config name."""
  found: dict[str, str] = {}
  for field, value in changes.items():
    inner = f"{name}.{field}"
    if isinstance(value, Mapping):
      found |= _files(inner, value)
    elif isinstance(value, str) and field in tasks.PATHS:
      found[inner] = value
  return found
