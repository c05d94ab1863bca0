# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Windows that the plain path computes in vain are said to be."""

import dataclasses
from typing import Any

import pytest

from bertjax.config import (
  ComputeConfig,
  DataConfig,
  ModelConfig,
  PretrainConfig,
)
from configs.families import FAMILIES
from launch.preflight.attention import judge_windows
from launch.preflight.policy import DEFAULT

MODERNBERT = ModelConfig(
  **{**FAMILIES["modernbert"].choices, **FAMILIES["modernbert"].sizes["base"]}
)


def judged(platform="tpu", length=512, attention: Any = "xla", **choices):
  config = PretrainConfig(
    model=dataclasses.replace(MODERNBERT, **choices),
    data=DataConfig(seq_length=length),
    compute=ComputeConfig(attention=attention),
  )
  return list(judge_windows(config, platform, DEFAULT))


def test_scores_outside_of_windows_are_a_warning_with_the_fix():
  """14 of 22 layers have windows, of 129 of 512 tokens less those at ends."""
  (found,) = judged()
  assert (found.name, found.level) == ("masked_pairs", "warn")
  inside = sum(min(i, 64) + min(511 - i, 64) + 1 for i in range(512))
  assert found.figure == pytest.approx(14 / 22 * (1 - inside / 512**2))
  assert "49% of the scores" in found.text
  assert "all 512 x 512" in found.text
  assert "--config.compute.attention=splash, with" in found.fix
  (found,) = judged(attention_dropout_rate=0.1)
  assert "=splash and --config.model.attention_dropout_rate=0" in found.fix


def test_a_kernel_that_skips_them_passes():
  (found,) = judged(attention="splash")
  assert (found.level, found.figure) == ("pass", 0)
  (found,) = judged(attention_window=500)
  assert found.level == "pass"


@pytest.mark.parametrize(
  "other",
  [
    {"platform": "cpu"},
    {"platform": "gpu"},
    {"length": 256},
    {"attention_pattern": "full", "rotary_local_base": 0.0},
  ],
)
def test_nothing_is_said_where_no_kernel_would_skip_them(other):
  assert judged(**other) == []
