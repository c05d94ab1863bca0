# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that are compared."""

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from bertjax.config.finetuning import FinetuneConfig
from bertjax.config.pretraining import PretrainConfig


@dataclasses.dataclass(frozen=True)
class SweepConfig:
  """Arms that differ in a few fields of `pretrain`, over the same seeds.

  `arms` maps a name to the nested fields that it replaces; `baseline` names
  the arm that the others are subtracted from, seed by seed.
  """

  arms: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  baseline: str = ""
  seed: int = 0  # of the first trial of each arm; the others count up
  seeds: int = 3
  pretrain: PretrainConfig = field(default_factory=PretrainConfig)
  finetune: FinetuneConfig = field(
    default_factory=FinetuneConfig
  )  # the probe of every trial
