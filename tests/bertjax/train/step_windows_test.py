# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A step counts what a kernel with windows computes, and only such a step."""

from typing import Any

import jax

from bertjax import optim
from bertjax.config import MeshConfig
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import flops, state, step
from tests.testing import tiny, training


def metrics_of(reach):
  mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
  schedule = optim.make_schedule(training.OPTIMIZER, training.STEPS)
  optimizer = optim.make_optimizer(training.OPTIMIZER, schedule)
  abstract = state.abstract_state(tiny.init_params, optimizer, mesh)
  made: Any = step.make_train_step(
    tiny.task(), optimizer, mesh, abstract, step.StepOptions(reach=reach)
  )
  _, metrics = made.eval_shape(abstract, feeding.put_batch(tiny.batch(0), mesh))
  return set(metrics)


def test_pairs_inside_windows_are_a_metric_of_kernels_with_windows():
  assert metrics_of(4) - metrics_of(None) == {flops.COUNTS[-1]}
  assert metrics_of(None) & set(flops.COUNTS) == set(flops.COUNTS[:-1])
