# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The kernels against the plain path: on one device, on many, in the model."""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig, MeshConfig
from bertjax.model.attention import LayerInputs, SelfAttention
from bertjax.model.ops import fused_attention
from bertjax.model.ops.dot_product import attend
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from tests.testing.examples import SMALL, equations

splash = functools.partial(fused_attention.splash, interpret=True)


def plain(query, key, value, packs, reach=None):
  near_TS = None
  if reach is not None:
    places_S = np.arange(query.shape[1])
    near_TS = np.abs(places_S[:, None] - places_S) <= reach
  return attend(query, key, value, packs, None, 0.0, near_TS)


def example(rows, length, heads=2, size=8, dtype=jnp.float32):
  """Query, key, value and packs: padding alone, one pack, several."""
  draw = np.random.default_rng(length)
  states = (
    jnp.asarray(draw.standard_normal((rows, length, heads, size)), dtype)
    for _ in range(3)
  )
  borders_BR = np.sort(draw.integers(1, length, (rows, 3)), axis=1)
  packs_BS = (np.arange(length) >= borders_BR[..., None]).sum(axis=1) + 1
  packs_BS = np.where(packs_BS > 3, 0, packs_BS).astype(np.int32)
  packs_BS[0], packs_BS[-1] = 0, 1
  return (*states, jnp.asarray(packs_BS))


def weigh(attention):
  """Function of query, key, value and packs → context and gradients."""

  def loss(query, key, value, packs):
    context = attention(query, key, value, packs)
    slope = jnp.cos(jnp.arange(context.size, dtype=jnp.float32))
    wide = context.astype(jnp.float32)
    return jnp.sum(wide * slope.reshape(context.shape)), context

  def run(*arrays):
    gradients, context = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(
      *arrays
    )
    return context, *gradients

  return run


def assert_close(got, expected, tolerance):
  for left, right in zip(got, expected, strict=True):
    assert left.dtype == right.dtype
    left, right = (np.asarray(each, np.float32) for each in (left, right))
    assert np.abs(right).max() > 0.1
    assert np.abs(left - right).max() <= tolerance * np.abs(right).max()


@pytest.mark.parametrize(
  ("block", "length", "dtype", "tolerance"),
  [
    (512, 128, jnp.float32, 1e-5),
    (512, 128, jnp.bfloat16, 2e-2),
    (128, 256, jnp.float32, 1e-5),
    (128, 384, jnp.float32, 1e-5),
  ],
  ids=["one tile", "bfloat16", "two tiles", "gradients apart"],
)
def test_splash_is_the_plain_path(monkeypatch, block, length, dtype, tolerance):
  monkeypatch.setattr(fused_attention, "_LARGEST_BLOCK", block)
  arrays = example(3, length, dtype=dtype)
  got, expected = (jax.jit(weigh(each))(*arrays) for each in (splash, plain))
  assert_close(got, expected, tolerance)


def test_what_stands_outside_a_pack_is_invisible_to_splash_exactly():
  query, key, value, packs = example(2, 128)
  packs = np.repeat([[1, 2]], 2, axis=0).repeat(64, axis=1).astype(np.int32)
  run = jax.jit(splash)
  before, after = (
    np.asarray(run(query, key, value.at[:, 64:].set(there), packs))
    for there in (0.0, 1e4)
  )
  np.testing.assert_array_equal(after[:, :64], before[:, :64])
  assert not np.array_equal(after[:, 64:], before[:, 64:])


@pytest.fixture(scope="module")
def mesh():
  return make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))


def on_mesh(run, mesh):
  """As evaluation has it: all is left to the compiler."""

  def applied(*arrays):
    with sharding.activate(mesh):
      return run(*arrays)

  return applied


def inside_data(run, mesh):
  """As a train step has it: `data` is cut by hand already."""
  rows = jax.P("data")

  def applied(*arrays):
    with (
      sharding.activate(mesh),
      nn.logical_axis_rules(sharding.rules_without("data")),
    ):
      return jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(rows,) * 4,
        out_specs=rows,
        axis_names={"data"},
        check_vma=False,
      )(*arrays)

  return applied


@pytest.mark.parametrize("placed", [on_mesh, inside_data])
def test_splash_on_many_devices_is_the_plain_path(mesh, placed):
  arrays = example(8, 128)
  arrays = jax.device_put(arrays, sharding.batch_sharding(mesh))
  run = placed(splash, mesh)
  got, expected = (jax.jit(weigh(each))(*arrays) for each in (run, plain))
  assert_close(got, expected, 1e-5)
  trace = jax.make_jaxpr(run)(*arrays)
  shapes = {
    var.aval.shape
    for equation in equations(trace.jaxpr)
    if equation.primitive.name == "pallas_call"
    for var in equation.invars
  }
  # Of eight rows and two heads, each device has two and one.
  assert (2, 1, 8, 128) in shapes


def test_splash_keeps_nothing_for_every_pair_of_positions():
  arrays = example(2, 128)
  sizes = {}
  for each in (splash, plain):
    _, back = jax.vjp(
      lambda q, k, v, each=each: each(q, k, v, arrays[3]), *arrays[:3]
    )
    sizes[each] = max(leaf.size for leaf in jax.tree.leaves(back))
  assert sizes[plain] == 2 * 2 * 128 * 128
  assert sizes[splash] == 2 * 2 * 128 * 8


def test_a_length_without_a_tile_is_refused():
  with pytest.raises(ValueError, match="over 100 positions; give a multiple"):
    fused_attention.block_size(100)
  sizes = [fused_attention.block_size(n) for n in (128, 384, 512, 640, 1536)]
  assert sizes == [128, 384, 512, 128, 512]


def test_the_model_attends_by_the_kernel_that_is_named(monkeypatch):
  monkeypatch.setattr("bertjax.model.attention.KERNELS", {"splash": splash})
  rows_B = jnp.arange(2, dtype=jnp.uint32)
  hidden = example(2, 128, heads=1, size=32)[0][:, :, 0]
  packs = example(2, 128)[3]
  inputs = LayerInputs(packs, rows_B)
  module = lambda name, deterministic=True: SelfAttention(
    SMALL, ComputeConfig(attention=name), deterministic
  )
  # Parameters come out alike, of a length that the kernel could not do.
  params = module("splash").init(
    jax.random.key(0), hidden[:1, :3], LayerInputs(packs[:1, :3], rows_B[:1])
  )
  params = nn.unbox(jax.tree.map(lambda leaf: 10.0 * leaf, params))
  run = lambda name: jax.jit(module(name).apply)(params, hidden, inputs)
  assert_close([run("splash")], [run("xla")], 1e-5)
  np.testing.assert_array_equal(run("auto"), run("xla"))
  trace = lambda name: str(
    jax.make_jaxpr(module(name).apply)(params, hidden, inputs)
  )
  assert "pallas_call" in trace("splash")
  assert "pallas_call" not in trace("auto")
  with pytest.raises(ValueError, match=r"attention_dropout_rate=0\.1; set"):
    module("splash", deterministic=False).apply(params, hidden, inputs)


def test_the_mask_of_cudnn_is_the_plain_path():
  """The same call, by the implementation that runs anywhere."""
  arrays = example(3, 32)
  library = functools.partial(
    fused_attention._jax_attention, implementation="xla"
  )
  got, expected = (jax.jit(weigh(each))(*arrays) for each in (library, plain))
  assert_close(got, expected, 1e-5)


def alone(run, mesh):
  return run


@pytest.mark.parametrize("placed", [alone, on_mesh, inside_data])
def test_cudnn_is_lowered_to_its_calls_each_on_one_device(
  monkeypatch, mesh, placed
):
  # What it asks of an installed cuDNN, which need not be here.
  monkeypatch.setattr(
    "jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version",
    lambda: 91000,
  )
  query = jnp.zeros((8, 128, 4, 64), jnp.bfloat16)
  run = placed(fused_attention.cudnn, mesh)
  lowered = jax.jit(weigh(run)).trace(
    query, query, query, jnp.zeros((8, 128), jnp.int32)
  )
  text = lowered.lower(lowering_platforms=("cuda",)).as_text()
  local = "8x128x4x64" if placed is alone else "2x128x2x64"
  for call in ("Softmax", "SoftmaxBackward"):
    assert re.search(
      rf"__cudnn\$fmhaScaleBias{call}\W[^\n]*tensor<{local}xbf16>", text
    )
  assert "CustomSPMDPartitioning" not in text


def test_numbers_are_of_the_dtype_of_compute_and_softmax_of_float32():
  arrays = example(1, 128, dtype=jnp.bfloat16)
  trace = jax.make_jaxpr(splash)(*arrays)
  exponentials = [
    equation.outvars[0].aval
    for equation in equations(trace.jaxpr)
    if equation.primitive.name == "exp"
  ]
  assert exponentials
  assert {aval.dtype for aval in exponentials} == {np.dtype(np.float32)}
  assert {aval.dtype for aval in trace.out_avals} == {jnp.dtype("bfloat16")}
