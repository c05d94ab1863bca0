# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Kernels are gathered once a step, in the loop over layers or before it.

That this changes no number is a law of `step_test`.
"""

import jax
import jax.numpy as jnp
import pytest

from bertjax.config import MeshConfig
from bertjax.model.parameters import FIRST_KERNEL, PARAMETERS, by_name
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import gathering, gradients, rng
from tests.testing import examples, tiny

GATHERS = ("all_gather", "all_gather_invariant")
REDUCTIONS = ("psum", "psum_invariant", "reduce_scatter")


def traced(places, mesh, accumulation):
  """Trace the gradients of the tiny encoder."""
  task = tiny.task()
  function = gradients.make_gradients(
    task, mesh, places, accumulation=accumulation, gather_in_loop=True
  )

  def differentiate(params, batch, key):
    prepared = task.prepare(batch)
    return function(params, prepared, task.weights(prepared), key, None)

  batch = {name: jnp.asarray(each) for name, each in tiny.batch(0).items()}
  with sharding.activate(mesh):
    return jax.make_jaxpr(differentiate)(
      tiny.params(), batch, rng.stream(0, "dropout", 0)
    )


def count(equations, names):
  return sum(each.primitive.name in names for each in equations)


@pytest.mark.parametrize(
  "accumulation", [1, pytest.param(2, marks=pytest.mark.full)]
)
def test_each_parameter_is_gathered_once_and_no_loop_reduces(accumulation):
  mesh = make_mesh(MeshConfig(data=2, zero1=True), jax.devices()[:2])
  abstract = jax.eval_shape(tiny.init_params, jax.random.key(0))
  places = sharding.param_shardings(abstract, mesh, zero1=True)
  sharded = {
    name
    for name, each in by_name(places).items()
    if not each.is_fully_replicated
  }
  everything = [*examples.equations(traced(places, mesh, accumulation))]
  assert count(everything, GATHERS) == len(sharded)
  assert count(everything, REDUCTIONS) >= len(sharded)
  loops = [
    [*examples.equations(each.params["jaxpr"])]
    for each in everything
    if each.primitive.name == "scan"
  ]
  assert not any(count(loop, REDUCTIONS) for loop in loops)
  stacked = {name for name in sharded if PARAMETERS[name].is_stacked}
  assert FIRST_KERNEL in stacked
  # The all-gather of the first kernel could not overlap anything.
  expected = len(stacked) - 1 if accumulation == 1 else 0
  assert max(count(loop, GATHERS) for loop in loops) == expected


def test_only_what_is_sharded_in_a_layer_is_gathered_in_the_loop():
  kernel = "encoder/layers/mlp_up/kernel"
  axes = {
    kernel: 1,
    FIRST_KERNEL: 1,
    "encoder/layers/mlp_down/kernel": -1,
    "encoder/layers/mlp_up/bias": 0,
    "encoder/embeddings/word/embedding": 1,
    "own": 1,
  }
  for in_loop in (True, False):
    found = gathering.loop_axes(axes, in_loop=in_loop)
    assert found == {**dict.fromkeys(axes, -1), kernel: 1 if in_loop else -1}
