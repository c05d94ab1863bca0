# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A GPU's kernels are the plain path under the draws that a TPU's have."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import MeshConfig
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from tests.bertjax.model.ops import flash_attention_test
from tests.bertjax.model.ops.flash_kernels_test import arguments, gradients
from tests.bertjax.model.ops.fused_attention_test import (
  assert_close,
  example,
  on_mesh,
  weigh,
)

KERNELS = ("flash_forward", "flash_query", "flash_key")
pair = functools.partial(flash_attention_test.pair, interpret="gpu")


def scaled(*of_example, **more):
  query, *others = example(*of_example, **more)
  return (query * query.dtype.type(query.shape[-1] ** -0.5), *others)


CASES = {
  # Four tiles of queries and two groups of keys, which the row does not fill;
  # the window leaves out some of both.
  "window, odd length": (250, 32, jnp.float32, 0.1, 20, "uint16"),
  "bfloat16": (384, 64, jnp.bfloat16, 0.1, None, "uint16"),
  "wide heads": (130, 128, jnp.float32, 0.1, None, "uint16"),
  "wide heads, bfloat16": (128, 128, jnp.bfloat16, 0.1, 50, "uint16"),
  "heads of no power of 2": (77, 24, jnp.float32, 0.5, None, "uint16"),
  "8 bits": (256, 64, jnp.float32, 26 / 256, 100, "uint8"),
  "no dropout": (256, 64, jnp.float32, 0.0, None, "uint16"),
  "no dropout, window": (384, 32, jnp.float32, 0.0, 20, "uint16"),
}


@pytest.mark.parametrize(
  "case",
  [
    name if number == 0 else pytest.param(name, marks=pytest.mark.full)
    for number, name in enumerate(CASES)
  ],
)
def test_the_kernels_are_the_plain_path_under_the_same_draws(case):
  """In value and in all gradients, with packs and with padding alone."""
  length, size, dtype, rate, reach, draws = CASES[case]
  arrays = scaled(3, length, size=size, dtype=dtype)
  ours, plain = pair(3, length, rate, reach, draws)
  got, expected = (jax.jit(weigh(each))(*arrays) for each in (ours, plain))
  assert_close(got, expected, 1e-5 if dtype == jnp.float32 else 2e-2)
  # Without a derivative it is another program.
  np.testing.assert_array_equal(jax.jit(ours)(*arrays), got[0])


@pytest.mark.full
def test_what_stands_outside_a_pack_is_invisible_exactly():
  query, key, value, _ = example(2, 128)
  packs = np.repeat([[1, 2]], 2, axis=0).repeat(64, axis=1).astype(np.int32)
  run = jax.jit(pair(2, 128, 0.1)[0])
  before, after = (
    np.asarray(run(query, key, value.at[:, 64:].set(there), packs))
    for there in (0.0, 1e4)
  )
  np.testing.assert_array_equal(after[:, :64], before[:, :64])
  assert not np.array_equal(after[:, 64:], before[:, 64:])


@pytest.mark.full
def test_devices_drop_what_one_device_drops():
  """Rows along data and fsdp, heads along tensor; window and all."""
  mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
  ours, plain = pair(8, 128, 0.5, reach=40)
  arrays = example(8, 128)
  expected = jax.jit(weigh(plain))(*arrays)
  arrays = jax.device_put(arrays, sharding.batch_sharding(mesh))
  got = jax.jit(weigh(on_mesh(ours, mesh)))(*arrays)
  assert_close(got, expected, 1e-5)


@pytest.mark.full
def test_nothing_is_kept_for_every_pair_of_positions():
  state = jax.ShapeDtypeStruct((2, 256, 2, 16), jnp.float32)
  packs = jax.ShapeDtypeStruct((2, 256), jnp.int32)
  ours, _ = pair(2, 256, 0.1)

  def back(query, key, value, packs):
    return jax.vjp(lambda q, k, v: ours(q, k, v, packs), query, key, value)[1]

  kept = jax.eval_shape(back, state, state, state, packs)
  assert max(leaf.size for leaf in jax.tree.leaves(kept)) == state.size


@pytest.mark.parametrize(
  ("dtype", "windowed"),
  [
    (jnp.bfloat16, True),
    pytest.param(jnp.float32, False, marks=pytest.mark.full),
  ],
)
def test_all_kernels_are_lowered_for_a_gpu(dtype, windowed):
  """By Triton, in the process, where the devices of the mesh are GPUs."""
  device = jax.sharding.AbstractDevice(
    device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu"
  )
  mesh = jax.sharding.AbstractMesh((), (), abstract_device=device)
  with jax.sharding.use_abstract_mesh(mesh), warnings.catch_warnings():
    # JAX 0.12: a later one will have no Triton.
    warnings.filterwarnings("ignore", ".*Triton backend", DeprecationWarning)
    lowered = (
      jax.jit(functools.partial(gradients, windowed))
      .trace(*arguments(2, 384, 64, dtype))
      .lower(lowering_platforms=("cuda",))
    )
  text = lowered.as_text()
  assert all(name in text for name in KERNELS)
  assert text.count("@__gpu$xla.gpu.triton") == len(KERNELS)
