# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the step, on a toy: meshes and micro-batches change nothing."""

import jax
import numpy as np
import optax
import pytest

from bertjax import loop, sharding, state, step
from bertjax.config import MeshConfig
from tests.bertjax import toy

MESHES = {
  "data": MeshConfig(data=8),
  "fsdp": MeshConfig(data=1, fsdp=8),
  "tensor": MeshConfig(data=1, tensor=8),
  "all": MeshConfig(data=2, fsdp=2, tensor=2),
}


def train(config, steps=3, *, devices=None, dropout_rate=0.0, accumulation=1):
  mesh = sharding.make_mesh(config, devices)
  optimizer = optax.sgd(0.1, momentum=0.9)
  start = state.make_state(toy.init_params, optimizer, mesh, seed=0)
  train_step = step.make_train_step(
    toy.task(dropout_rate),
    optimizer,
    mesh,
    start,
    step.StepOptions(accumulation=accumulation),
  )
  losses = []

  class Keep(loop.Hook):
    def record(self, record):
      losses.append(record.metrics)

  end = loop.train(
    start,
    train_step=train_step,
    batches=toy.batches,
    steps=steps,
    mesh=mesh,
    hooks=[Keep()],
  )
  return jax.device_get(end), losses, train_step


@pytest.fixture(scope="module", params=[0.0, 0.3], ids=["plain", "dropout"])
def alone(request):
  config = MeshConfig(data=1)
  return request.param, train(
    config, devices=jax.devices()[:1], dropout_rate=request.param
  )


@pytest.mark.parametrize("name", MESHES)
def test_a_mesh_changes_no_loss_and_no_parameter(alone, name):
  rate, (expected, expected_losses, _) = alone
  got, losses, _ = train(MESHES[name], dropout_rate=rate)
  for left, right in zip(expected_losses, losses, strict=True):
    assert left.keys() == right.keys()
    for metric in left:
      np.testing.assert_allclose(left[metric], right[metric], rtol=1e-5)
  jax.tree.map(
    lambda left, right: np.testing.assert_allclose(left, right, atol=1e-5),
    expected.params,
    got.params,
  )
