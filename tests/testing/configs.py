# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Configs with a few fields changed, and the check of a whole run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bertjax.config import SIZES, PretrainConfig, checks


def replaced(config: Any, changes: Mapping[str, Any]) -> Any:
  """Return `config` with fields changed, as {"optimizer.beta1": 0.5}."""
  for path, value in changes.items():
    group, _, name = path.rpartition(".")
    if group:
      inner = dataclasses.replace(getattr(config, group), **{name: value})
      config = dataclasses.replace(config, **{group: inner})
    else:
      config = dataclasses.replace(config, **{name: value})
  return config


def check_run(changes: Mapping[str, Any], num_devices: int = 8) -> None:
  """Check a pre-training run of BERT-base with fields changed."""
  base = dataclasses.replace(PretrainConfig(), model=SIZES["base"])
  checks.check_pretrain(
    replaced(base, changes), num_devices=num_devices, vocab_size=30522
  )
