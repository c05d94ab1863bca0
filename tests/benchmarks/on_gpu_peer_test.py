# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The peer of a GPU's train step runs at a tiny size, in its own process."""

from typing import Any

import pytest

from benchmarks import steps
from benchmarks.on_gpu import __main__ as on_gpu
from benchmarks.on_gpu import torch_peer
from benchmarks.on_gpu.scale import SCALES

TINY = SCALES["tiny"]


@pytest.mark.full
def test_the_step_of_the_peer_is_measured():
  jobs = {job.name: job for job in on_gpu.make_jobs(TINY)}
  (workload, *_) = TINY.workloads
  found: Any = jobs[f"{workload.name}: Hugging Face in PyTorch"].run(TINY)
  assert "error" not in found
  assert not found["compiled"]
  assert found["rows"] == workload.rows
  assert found["real_tokens_per_s"] == pytest.approx(
    workload.rows * workload.seq_length / (found["ms"] / 1e3)
  )
  assert found["model_tflops"] > 0


def test_the_peer_predicts_as_many_tokens_of_a_row_as_we_do():
  (workload, *_) = TINY.workloads
  slots = steps.slots_for(workload.seq_length, 1)
  inputs = torch_peer._inputs(workload, 4, slots)
  assert ((inputs["labels"] >= 0).sum(axis=1) == slots).all()
  assert (inputs["attention_mask"] == 1).all()
