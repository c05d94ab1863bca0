# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training whose machine is gone in the middle."""

import pytest

from launch import pretrain
from launch.run import resumable


def pretrain_until(stop, config, workdir, phase_start=lambda _: 0):
  """Pre-train until there is no batch for the step after `stop`.

  Args:
    stop: the last step.
    config: of the run.
    workdir: of the run.
    phase_start: pipeline → step that its phase starts after.
  """
  real = resumable.train_iterator

  def breaks(pipeline, start, **named):
    left = stop - phase_start(pipeline) - start
    for number, batch in enumerate(real(pipeline, start, **named)):
      if number == left:
        raise ConnectionError("the machine is gone")
      yield batch

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(resumable, "train_iterator", breaks)
    with pytest.raises(ConnectionError):
      pretrain.run(config, str(workdir))
