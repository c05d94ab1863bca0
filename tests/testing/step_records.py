# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Records of steps as a loop gives them to its hooks."""

from bertjax.train.hooks import StepRecord


def make(step, steps=10, seconds=0.5, *, first=False):
  weight = float(step % 3 + 1)
  return StepRecord(
    step=step,
    metrics={
      "loss": (1.0 / step, 1.0),
      "mlm_loss": (7.0 / step * weight, weight),
      "nsp_loss": (0.0, 0.0),
      "tokens": (100.0, 1.0),
      "attended": (1000.0, 1.0),
      "examples": (4.0, 1.0),
    },
    seconds=seconds,
    wait_seconds=0.1,
    finished=step == steps,
    first=first or step == 1,
  )
