# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The base of every study of pre-training: what arms do not change."""

from collections.abc import Collection, Mapping
from typing import Any

import ml_collections

from bertjax.config import SweepConfig
from configs import common, finetune, pretrain

# `make pretrain` leaves it.
STORE = "runs/demo/store"


def make(
  argument: str,
  *,
  without: Collection[str] = (),
  base: Mapping[str, Any] | None = None,
  **fields: Any,
) -> ml_collections.ConfigDict:
  """Return a study of runs of `size=tiny,recipe=short`, three seeds an arm.

  The published recipe takes days, and a study has many trials.

  Args:
    argument: overlays of configs/pretrain.py.
    without: overlays that the study does not take, because its arms set them.
    base: fields of all runs, by dotted names, which overlays may change.
    fields: fields of `SweepConfig`.
  """
  overlays = {
    name: values
    for name, values in pretrain.overlays_of(argument).items()
    if name not in without
  }
  run = pretrain.get_config("size=tiny,recipe=short")
  run.update_from_flattened_dict(dict(base or {}))
  run = common.apply_overlays(run, argument, overlays)
  run.update_from_flattened_dict({"data.store": STORE})
  config = common.from_dataclass(SweepConfig(**fields))
  config.pretrain = run
  config.finetune = finetune.get_config("task=stdlib")
  return config
