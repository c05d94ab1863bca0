# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A few steps of the tiny encoder on any mesh, and what they must equal."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bertjax import optim
from bertjax.config import MeshConfig, OptimizerConfig
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import loop, state, step
from tests.testing import tiny

OPTIMIZER = OptimizerConfig(learning_rate=1e-2, warmup_steps=1)
MESHES = {
  "data": MeshConfig(data=8),
  "fsdp": MeshConfig(data=1, fsdp=8),
  "tensor": MeshConfig(data=2, fsdp=1, tensor=4),
  "all": MeshConfig(data=2, fsdp=2, tensor=2),
  "zero1": MeshConfig(data=8, zero1=True),
  "zero1 and all": MeshConfig(data=2, fsdp=2, tensor=2, zero1=True, slices=2),
}
STEPS = 3


@dataclasses.dataclass
class Trained:
  """What a few steps gave; `grads` are those of the first step."""

  params: dict
  grads: dict
  metrics: list
  traces: int
  program: str


class Kept(NamedTuple):
  """State of `keep_first`."""

  steps: jax.Array
  grads: Any


def keep_first():
  """Keep the gradients of the first step, where parameters are still equal."""

  def start(params):
    return Kept(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

  def update(updates, state, params=None):
    first = jax.tree.map(
      lambda new, old: jnp.where(state.steps == 0, new, old),
      updates,
      state.grads,
    )
    return updates, Kept(state.steps + 1, first)

  return optax.GradientTransformation(start, update)


def train(
  mesh_config, *, rate=0.0, accumulation=1, devices=None, config=OPTIMIZER
):
  """Train the tiny encoder from the same parameters on some mesh."""
  mesh = make_mesh(mesh_config, devices)
  optimizer = optax.chain(
    keep_first(),
    optim.make_optimizer(config, optim.make_schedule(config, STEPS)),
  )
  abstract = state.abstract_state(
    tiny.init_params, optimizer, mesh, zero1=mesh_config.zero1
  )
  params = jax.device_put(
    tiny.params(), jax.tree.map(lambda leaf: leaf.sharding, abstract.params)
  )
  zeros = lambda leaf: jax.device_put(
    np.zeros(leaf.shape, leaf.dtype), leaf.sharding
  )
  start = state.TrainState(
    step=zeros(abstract.step),
    params=params,
    opt_state=jax.tree.map(zeros, abstract.opt_state),
  )
  task = tiny.task(dropout_rate=rate)
  traces = []

  def prepare(batch):
    traces.append(1)
    return task.prepare(batch)

  seen = []

  class Keep(loop.Hook):
    def record(self, record):
      seen.append(record.metrics)

  train_step: Any = step.make_train_step(
    dataclasses.replace(task, prepare=prepare),
    optimizer,
    mesh,
    abstract,
    step.StepOptions(
      accumulation=accumulation,
      schedule=optim.make_schedule(config, STEPS),
      gather_in_loop=not tiny.CONFIG.layer_groups,
    ),
  )
  placed = feeding.put_batch(tiny.batch(0), mesh)
  compiled = train_step.lower(abstract, placed).compile()
  end = loop.train(
    start,
    train_step=compiled,
    batches=tiny.batches,
    steps=STEPS,
    mesh=mesh,
    hooks=[Keep()],
  )
  return Trained(
    jax.device_get(end.params),
    jax.device_get(end.opt_state[0].grads),
    seen,
    len(traces),
    compiled.as_text(),
  )


def train_alone(rate=0.0):
  """Train on one device."""
  return train(MeshConfig(data=1), rate=rate, devices=jax.devices()[:1])


def check_same(left, right):
  for expected, got in zip(left.metrics, right.metrics, strict=True):
    assert expected.keys() == got.keys()
    for name in expected:
      np.testing.assert_allclose(
        got[name], expected[name], rtol=1e-5, err_msg=name
      )
  jax.tree.map(
    lambda expected, got: np.testing.assert_allclose(got, expected, atol=1e-5),
    left.params,
    right.params,
  )
  jax.tree.map_with_path(check_gradient, left.grads, right.grads)


def check_gradient(path, expected, got):
  """Compare one leaf: max|Δ| ≤ 1e-4 · max|g|.

  Gradients that are zero but for rounding are equal, as those of the biases of
  keys, which change no softmax.
  """
  largest = np.abs(expected).max()
  if max(largest, np.abs(got).max()) <= 1e-7:
    return
  difference = np.abs(got - expected).max()
  assert difference <= 1e-4 * largest, jax.tree_util.keystr(path)
