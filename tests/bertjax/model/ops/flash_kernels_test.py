# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a TPU's compiler makes of the kernels, and in which dtypes they work."""

import functools
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.ops.flash_attention import flash
from bertjax.model.ops.weight_draws import WeightDropout
from tests.testing.examples import equations

ROOT = pathlib.Path(__file__).parents[4]


def arguments(rows, length, width, dtype):
  state = jax.ShapeDtypeStruct((rows, length, 2, width), dtype)
  packs = jax.ShapeDtypeStruct((rows, length), jnp.int32)
  seeds = jax.ShapeDtypeStruct((rows, 2, 2), jnp.uint32)
  return state, state, state, packs, seeds, jax.ShapeDtypeStruct((), jnp.int32)


def gradients(windowed, *arrays):
  query, key, value, packs, seeds, reach = arrays

  def loss(query, key, value):
    context = flash(
      query,
      key,
      value,
      packs,
      dropout=WeightDropout(seeds, 0.1),
      reach=reach if windowed else None,
    )
    return jnp.sum(context.astype(jnp.float32) ** 2)

  return jax.grad(loss, argnums=(0, 1, 2))(query, key, value)


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_both_kernels_are_lowered_for_a_tpu(dtype, windowed):
  """By Mosaic, in the process, whatever is installed."""
  run = jax.jit(functools.partial(gradients, windowed))
  lowered = run.trace(*arguments(2, 256, 64, dtype)).lower(
    lowering_platforms=("tpu",)
  )
  text = lowered.as_text()
  for name in ("flash_forward", "flash_backward"):
    assert name in text
  assert text.count("@tpu_custom_call") == 2


def test_softmax_is_of_float32_and_states_of_the_dtype_of_compute():
  run = functools.partial(gradients, False)
  trace = jax.make_jaxpr(run)(*arguments(1, 128, 64, jnp.bfloat16))
  found = {"exp": set(), "dot_general": set()}
  for equation in equations(trace.jaxpr):
    if equation.primitive.name in found:
      found[equation.primitive.name].add(equation.outvars[0].aval.dtype)
      if equation.primitive.name == "dot_general":
        inputs = {var.aval.dtype for var in equation.invars}
        assert inputs == {jnp.dtype("bfloat16")}
  # Products of numbers of 16 bits are summed in 32.
  assert found == {name: {np.dtype(np.float32)} for name in found}
  assert {aval.dtype for aval in trace.out_avals} == {jnp.dtype("bfloat16")}


COMPILE = """
import json
import sys

import jax
import numpy as np

from bertjax.plan.hardware import topologies
from benchmarks import kernel_traffic

devices = topologies.get_devices(topologies.find("v5e:2x2"))[:1]
mesh = jax.sharding.Mesh(np.array(devices), ("all",))
place = jax.sharding.NamedSharding(mesh, jax.P())
found = {}
for name in ("splash", "flash"):
  run, shapes = kernel_traffic.attention_gradients(name, int(sys.argv[1]))
  run = jax.jit(run, in_shardings=place, out_shardings=place)
  compiled = run.lower(*shapes).compile()
  found[name] = int(compiled.memory_analysis().temp_size_in_bytes)
print(json.dumps(found))
"""


@pytest.mark.full
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="libtpu is not installed: pip install 'bertjax[plan]'",
)
@pytest.mark.parametrize("length", [512, 4096])
def test_a_tpu_compiles_both_with_no_more_temporaries_than_splash(length):
  """16 rows of 16 heads of 64, as in BERT-large."""
  hidden = ("XLA_FLAGS", "JAX_PLATFORMS")
  environment = {k: v for k, v in os.environ.items() if k not in hidden}
  done = subprocess.run(
    [sys.executable, "-c", COMPILE, str(length)],
    cwd=ROOT,
    env=environment | {"ALLOW_MULTIPLE_LIBTPU_LOAD": "1"},
    capture_output=True,
    text=True,
    timeout=1800,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  found = json.loads(done.stdout.splitlines()[-1])
  assert found["flash"] <= found["splash"]
