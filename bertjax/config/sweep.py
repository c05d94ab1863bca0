# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The config of a sweep: pre-training runs that are compared."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from bertjax.config.fields import AtLeast, Seed
from bertjax.config.finetune import FinetuneConfig
from bertjax.config.run import PretrainConfig


@dataclasses.dataclass(frozen=True)
class SweepConfig:
  """Arms that differ in a few fields of `pretrain`, over the same seeds.

  `arms` maps a name to the nested fields that it replaces; `baseline` names
  the arm that the others are compared with, seed by seed.
  """

  arms: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  baseline: str = ""
  # Seed of the first trial of each arm; the others count up from it.
  seed: Seed = 0
  seeds: Annotated[int, AtLeast(1)] = 3
  pretrain: PretrainConfig = PretrainConfig()
  finetune: FinetuneConfig = FinetuneConfig()  # the probe of every trial
