# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each phase takes rows of its own shape from the stores."""

import dataclasses

import pytest

from bertjax.config import PhaseConfig
from launch.run import assembly


def test_each_phase_has_its_own_rows_of_each_store(mixture):
  phase2 = PhaseConfig(steps=2, seq_length=32, batch_size=8)
  spec = assembly.assemble(dataclasses.replace(mixture, phase2=phase2))
  assert spec.phases[1].pipeline.batch(0)["tokens_BS"].shape == (8, 32)
  named = [name for name in spec.identity if name.endswith(".stores")]
  assert named == ["data.stores", "phase2.stores"]
  assert [dict(phase.rows) for phase in spec.phases] == [
    {"wiki": 11, "tickets": 5},
    {"wiki": 6, "tickets": 2},
  ]
  assert spec.describe_stores()["mixture"] == {
    "wiki": pytest.approx((3 * 11 + 2 * 6) / 64),
    "tickets": pytest.approx((3 * 5 + 2 * 2) / 64),
  }
