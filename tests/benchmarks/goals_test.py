# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Goals beside peers are those of the processor."""

import pytest

from benchmarks import goals
from benchmarks.turns import COMPILED, EAGER, ONNX, OURS_ADAMW, OURS_FLOAT32
from bertjax.interop.onnx.processor import Processor

EPYC = Processor("AMD EPYC 9B45", 2, ("AVX-512 VNNI",))
OLD_XEON = Processor("Intel(R) Xeon(R) Processor", 2, ("AVX-512 VNNI",))
XEON = Processor("Intel(R) Xeon(R) Processor", 2, ("AMX", "AVX-512 VNNI"))
UNKNOWN = Processor("arm", 2, None)


@pytest.mark.parametrize(
  ("on", "bound"),
  [(EPYC, "0.80"), (OLD_XEON, "0.90"), (XEON, "0.90"), (UNKNOWN, "0.90")],
)
def test_a_float32_step_is_further_ahead_of_pytorch_on_an_epyc(on, bound):
  assert goals.find("train step", "float32", on=on) == {
    EAGER: f"ratio ≤ {bound}",
    COMPILED: f"ratio ≤ {bound}",
  }


@pytest.mark.parametrize("what", ["train step", "inference"])
def test_low_precision_is_beside_autocast_only_where_there_is_amx(what):
  assert goals.find(what, "bfloat16", on=XEON) == {
    EAGER: "ratio ≤ 0.80",
    COMPILED: "ratio ≤ 0.80",
  }
  for on in (EPYC, OLD_XEON, UNKNOWN):
    assert goals.find(what, "bfloat16", on=on) == {OURS_FLOAT32: "ratio ≤ 0.80"}


def test_inference_is_also_beside_onnx_runtime_and_steps_beside_adamw():
  assert goals.find("inference", "float32", on=EPYC) == {
    EAGER: "ratio ≤ 0.90",
    COMPILED: "ratio ≤ 0.90",
    ONNX: "ratio ≤ 1.0",
  }
  for name, bound in (("lamb", "1.5"), ("muon", "1.3")):
    found = goals.find("train step", "float32", name, EPYC)
    assert found[OURS_ADAMW] == f"ratio ≤ {bound}"


def test_goals_of_a_study_are_missed_above_them():
  second = "second_of_its_arm_steps_after_s"
  figures = {"study_to_trials": 1.05, second: 3.01, "trials_s": 1e9}
  assert goals.missed_by_study(figures) == {second: 3.0}
  assert goals.missed_by_study({}) == {}
