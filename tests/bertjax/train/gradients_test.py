# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Micro-batches change no gradient, and gradients are reduced once a batch."""

import functools
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.batch import PRETRAINING_FEATURES, empty_batch
from bertjax.config import ComputeConfig, MeshConfig, ObjectiveConfig
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from bertjax.plan.hlo import collectives as plan_collectives
from bertjax.plan.hlo import parsing
from bertjax.train import gradients, rng
from tests.testing import examples, tiny
from tests.testing.training import MESHES, check_same, train, train_alone


@pytest.fixture(scope="module")
def alone():
  """Results on one device, by dropout rate."""
  return functools.cache(train_alone)


def test_micro_batches_equal_the_large_batch(alone):
  """Also where their mask counts differ: law 4."""
  batch = next(tiny.batches(0))
  masked = tiny.task().prepare({k: jnp.asarray(v) for k, v in batch.items()})
  counts = np.asarray(masked["masked"].weights_BP).sum(axis=1)
  assert len({counts[part::4].sum() for part in range(4)}) > 1
  for rate in (0.0, 0.2):  # what dropout hits goes by the row
    got = train(
      MeshConfig(data=1),
      rate=rate,
      accumulation=4,
      devices=jax.devices()[:1],
    )
    check_same(alone(rate), got)
    assert got.traces == 1


def test_masking_needs_the_memory_of_a_micro_batch():
  """The rows that are masked at once do not grow with the global batch."""
  task = tiny.task(objective=ObjectiveConfig(mask_unit="span"))

  def temporaries(parts, rows=8, length=256):
    sizes = {"B": rows * parts, "S": length, "R": tiny.PACKS}
    batch = empty_batch(PRETRAINING_FEATURES, sizes)
    function = jax.jit(lambda batch: gradients.prepare(task, batch, parts))
    return function.lower(batch).compile().memory_analysis().temp_size_in_bytes

  few, many = temporaries(2), temporaries(16)
  of_a_row = 256 * 256  # one flag for each pair of its positions
  assert few > 8 * of_a_row
  assert many - few < 14 * 8 * of_a_row / 4


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_masking_in_micro_batches_changes_no_mask(parts):
  task = tiny.task()
  batch = {name: jnp.asarray(each) for name, each in tiny.batch(0).items()}
  got = jax.jit(lambda batch: gradients.prepare(task, batch, parts))(batch)
  jax.tree.map(np.testing.assert_array_equal, got, task.prepare(batch))


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize(
  ("in_float32", "dtype"), [(False, "bfloat16"), (True, "float32")]
)
def test_gradients_travel_in_the_dtype_that_is_asked_for(
  axis, in_float32, dtype
):
  """Whether whole (all-reduce) or as shards (reduce-scatter)."""
  traced = jax.make_jaxpr(
    lambda grad, param: gradients._reduce(
      grad, param, axis, in_float32=in_float32
    ),
    axis_env=[("data", 2)],
  )(jnp.ones((4, 2), jnp.float32), jnp.ones((4, 2), jnp.bfloat16))
  (reduction,) = [
    each
    for each in traced.eqns
    if each.primitive.name in ("psum", "reduce_scatter", "psum_invariant")
  ]
  assert reduction.invars[0].aval.dtype == dtype


COMPILE = """
import dataclasses, json
from bertjax.plan import environment
environment.set_environment()
from benchmarks import compiled_steps
from bertjax.plan import compiling
from bertjax.plan.hardware import topologies
from bertjax.plan.hlo import collectives, parsing
config = compiled_steps.make_configs()["bert_bfloat16"]
devices = topologies.get_devices(topologies.find("v5e:2x2"))
for dtype in ("compute", "float32"):
  compute = dataclasses.replace(config.compute, gradient_dtype=dtype)
  changed = dataclasses.replace(config, compute=compute)
  program = compiling.build(changed, devices)
  step, state = program.for_phase(changed), program.abstract_state()
  text = step.train_step.lower(state, step.abstract_batch()).compile().as_text()
  found = collectives.find(parsing.parse(text), len(devices))
  kinds = [one for one in found if "reduce" in one.kind]
  print(json.dumps({
    name: sum(one.of_dtype(name) for one in kinds) for name in ("bf16", "f32")
  }))
"""


@pytest.mark.full
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="libtpu is not installed: pip install 'bertjax[plan]'",
)
def test_a_compiled_step_reduces_gradients_in_the_dtype_that_is_asked_for():
  """By the compiler of TPUs; on CPUs they are always reduced in float32."""
  hidden = ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_COMPILATION_CACHE")
  done = subprocess.run(
    [sys.executable, "-c", COMPILE],
    cwd=pathlib.Path(__file__).parents[3],
    env={k: v for k, v in os.environ.items() if k not in hidden}
    | {"ALLOW_MULTIPLE_LIBTPU_LOAD": "1"},
    capture_output=True,
    text=True,
    timeout=1800,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  narrow, wide = map(json.loads, done.stdout.splitlines()[-2:])
  assert narrow["bf16"] > 10 * narrow["f32"] > 0
  assert wide["bf16"] == 0
  # Each number of what was narrow takes twice as many bytes.
  assert wide["f32"] == narrow["f32"] + 2 * narrow["bf16"]


@pytest.mark.parametrize(
  ("devices", "dtype"), [(1, "float32"), (2, "bfloat16")]
)
def test_a_loop_stacks_gradients_that_are_narrow_only_if_they_travel(
  devices, dtype
):
  """XLA's CPU compiler converts a whole narrow stack for each row it writes."""
  narrow = tiny.task(compute=ComputeConfig("bfloat16"))
  mesh = make_mesh(MeshConfig(data=devices), jax.devices()[:devices])
  params = tiny.params()
  place = jax.tree.map(lambda _: sharding.replicated(mesh), params)
  function = gradients.make_gradients(narrow, mesh, place, accumulation=1)
  batch = narrow.prepare({k: jnp.asarray(v) for k, v in tiny.batch(0).items()})
  with sharding.activate(mesh):
    traced = jax.make_jaxpr(function)(
      params, batch, narrow.weights(batch), rng.stream(0, "dropout", 0), None
    )
  kernel = params["encoder"]["layers"]["mlp_up"]["kernel"]
  stacks = [
    output.aval.dtype
    for equation in examples.equations(traced)
    if equation.primitive.name == "scan"
    for output in equation.outvars
    if output.aval.shape == kernel.shape
  ]
  assert stacks == [dtype]


def collectives(program):
  """(kind, whether in a loop) of each collective of an optimised program."""
  bodies = set(re.findall(r"body=%?([\w.-]+)", program))
  found, inside = [], ""
  for line in program.splitlines():
    if line.endswith("{") and not line.startswith(" "):
      inside = line.removeprefix("ENTRY ").lstrip("%").split()[0]
    kind = re.search(
      r" (all-reduce|reduce-scatter|all-gather)(-start)?\(", line
    )
    if kind:
      found.append((kind[1], inside in bodies))
  return found


@pytest.mark.parametrize(
  "name", [pytest.param("data", marks=pytest.mark.full), "zero1"]
)
def test_gradients_of_all_micro_batches_and_layers_are_reduced_once(
  alone, name
):
  got = train(MESHES[name], accumulation=2)
  check_same(alone(0.0), got)
  kinds = collectives(got.program)
  assert "while" in got.program
  assert kinds
  assert not any(looped for _, looped in kinds), "nothing travels in a loop"
  scatters = [kind for kind, _ in kinds if kind == "reduce-scatter"]
  gathers = [kind for kind, _ in kinds if kind == "all-gather"]
  leaves = len(jax.tree.leaves(got.params))
  # Each number of each gradient once, and little else: losses and norms.
  found = plan_collectives.find(parsing.parse(got.program), jax.device_count())
  reductions = ("all-reduce", "reduce-scatter")
  sent = sum(each.step_bytes for each in found if each.kind in reductions)
  size = sum(leaf.nbytes for leaf in jax.tree.leaves(got.params))
  assert size <= sent < size + 1024
  if name == "data":
    assert not scatters
    assert not gathers
  else:
    assert 0 < len(scatters) <= leaves
    assert 0 < len(gathers) <= leaves
