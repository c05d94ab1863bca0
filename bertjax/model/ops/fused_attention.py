# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention in kernels that keep the scores on the chip.

They compute what `dot_product.attend` computes without dropout: attention
inside packs with a softmax in float32. The backward pass computes the scores
again, so that nothing is saved for every pair of positions.

Splash also attends within windows, and then works on the tiles that a window
touches. cuDNN has windows to the left only: JAX 0.10.2 refuses a right one
without a causal mask.

The compiler cannot partition a kernel. Each device runs it on its own rows and
heads, by the logical axes `batch` and `heads`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax.linen.spmd import logical_to_mesh_axes

from bertjax.config import ComputeConfig, choices

Array = jax.Array
# Positions in a tile. At 512 a tile of float32 scores is 1 MiB, and a row of
# 512 positions is one tile, whose softmax needs one pass.
_LARGEST_BLOCK = 512
_LANES = 128


class Window(NamedTuple):
  """The window of a layer that may have one.

  Attributes:
    reach: the farthest position that one attends to, on either side.
    is_global: bool, whether this layer attends to the whole example instead.
  """

  reach: int
  is_global: Any


def splash(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  window: Window | None = None,
  *,
  interpret: bool = False,
) -> Array:
  """Return `context_BSHK` by JAX's splash attention, a Pallas kernel for TPUs.

  Args:
    query_BSHK: already scaled; S is a multiple of 128.
    key_BTHK: keys, in the dtype of the query.
    value_BTHK: values, in the dtype of the query.
    packs_BS: number of the packed example, 0 for padding.
    window: of this layer; None attends to the whole example.
    interpret: run the kernel in Pallas's interpreter, on any platform.
  """
  # Chosen by each device for itself, so that no conditional is partitioned.
  flags = () if window is None else (jnp.asarray(window.is_global),)

  def per_device(
    query: Array, key: Array, value: Array, packs: Array, *flags: Array
  ) -> Array:
    _, length, heads, _ = query.shape
    make = functools.partial(_make_splash, heads, length, interpret=interpret)
    arrays = (*map(_swap, (query, key, value)), packs)
    whole = jax.vmap(make(None))
    if window is None or window.reach >= length - 1:
      return _swap(whole(*arrays))
    local = jax.vmap(make(window.reach))
    (is_global,) = flags
    return _swap(jax.lax.cond(is_global, whole, local, *arrays))

  states = (query_BSHK, key_BTHK, value_BTHK)
  return on_each_device(per_device, *[()] * len(flags))(
    *states, packs_BS, *flags
  )


def cudnn(
  query_BSHK: Array, key_BTHK: Array, value_BTHK: Array, packs_BS: Array
) -> Array:
  """Return `context_BSHK` by cuDNN's attention, for NVIDIA's GPUs.

  cuDNN gets the packs as a mask in the compute dtype, one for all heads. The
  tests lower this function and compare its mask with the plain path; it has
  not run on a GPU.

  Args:
    query_BSHK: already scaled, bfloat16 or float16.
    key_BTHK: keys, in the dtype of the query.
    value_BTHK: values, in the dtype of the query.
    packs_BS: number of the packed example, 0 for padding.
  """
  per_device = functools.partial(_jax_attention, implementation="cudnn")
  return on_each_device(per_device)(query_BSHK, key_BTHK, value_BTHK, packs_BS)


# By name, as in `ComputeConfig.attention`; flash is in `flash_attention`.
KERNELS: Mapping[str, Callable[..., Array]] = {"splash": splash, "cudnn": cudnn}
assert {"auto", "xla", "flash", *KERNELS} == set(
  choices(ComputeConfig, "attention")
)


def block_size(length: int) -> int:
  """Return the positions in a tile: the largest size that divides `length`.

  Raises:
    ValueError: `length` is not a multiple of 128.
  """
  for size in range(_LARGEST_BLOCK, 0, -_LANES):
    if length % size == 0:
      return size
  raise ValueError(
    f"splash attention over {length} positions; give a multiple of {_LANES}"
  )


def computed_pairs(length: int, reach: int | None = None, keys: int = 0) -> int:
  """Return the pairs of a row that a kernel works on: whole tiles.

  Args:
    length: positions of a row, a multiple of 128.
    reach: the farthest position that one attends to; None for any.
    keys: of a tile; 0 for as many as queries, as splash has.
  """
  queries = block_size(length)
  keys = keys or queries
  touched = [
    (i, j)
    for i in range(0, length, queries)
    for j in range(0, length, keys)
    if reach is None or max(j - i - queries, i - j - keys) < reach
  ]
  return len(touched) * queries * keys


def _make_splash(
  num_heads: int, length: int, reach: int | None, *, interpret: bool
) -> Callable[..., Array]:
  """(`query_HSK`, `key_HTK`, `value_HTK`, `packs_S`) → `context_HSK`."""
  # Imported here, because it takes long and few runs need it.
  from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_kernel as kernels,
  )
  from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_mask as masks,
  )

  block = block_size(length)
  # If heads of width 64 were the last axis, half of every tile in memory would
  # be padding: 78 MiB a layer of BERT-large at 16 rows of 512.
  layout = kernels.QKVLayout.SEQ_MINOR
  # The fused backward kernel writes one partial gradient of the query for each
  # tile of keys, to be summed: it is the better one for few tiles.
  fused = length // block <= 2
  separate = {} if fused else {"block_q_dq": block, "block_kv_dq": block}
  mask: Any = masks.FullMask((length, length))
  if reach is not None:
    mask = masks.LocalMask((length, length), (reach, reach), offset=0)
  kernel: Any = kernels.make_splash_mha_single_device(
    masks.MultiHeadMask([mask] * num_heads),
    block_sizes=kernels.BlockSizes(
      block_q=block,
      block_kv=block,
      block_q_dkv=block,
      block_kv_dkv=block,
      use_fused_bwd_kernel=fused,
      q_layout=layout,
      k_layout=layout,
      v_layout=layout,
      **separate,
    ),
    interpret=interpret,
  )

  def attend(
    query_HSK: Array, key_HTK: Array, value_HTK: Array, packs_S: Array
  ) -> Array:
    packs = kernels.SegmentIds(q=packs_S, kv=packs_S)
    return kernel(query_HSK, key_HTK, value_HTK, packs)

  return attend


def _jax_attention(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  implementation: Literal["xla", "cudnn"],
) -> Array:
  """Call `jax.nn.dot_product_attention` with the packs as its mask."""
  return jax.nn.dot_product_attention(
    query_BSHK,
    key_BTHK,
    value_BTHK,
    mask=packs_BS[:, None, :, None] == packs_BS[:, None, None, :],
    scale=1.0,
    implementation=implementation,
  )


def on_each_device(
  per_device: Callable[..., Array], *more: tuple[str | None, ...]
) -> Callable[..., Array]:
  """Run `per_device` under shard_map, on the rows and heads of one device.

  Mesh axes that are manual already, in a caller's shard_map, are left alone.

  Args:
    per_device: query, key, value, packs and other arrays → context.
    *more: logical axes of each of the other arrays; () gives it whole.
  """
  mesh = jax.sharding.get_abstract_mesh()
  automatic = set(mesh.axis_names) - set(mesh.manual_axes)
  if not automatic:
    return per_device
  rows, heads = logical_to_mesh_axes(("batch", "heads")) or (None, None)
  of_axis = {"batch": rows, "heads": heads, None: None}
  states = jax.P(rows, None, heads, None)
  others = [jax.P(*(of_axis[axis] for axis in axes)) for axes in more]
  return jax.shard_map(
    per_device,
    in_specs=(states, states, states, jax.P(rows, None), *others),
    out_specs=states,
    axis_names=automatic,
    check_vma=False,
  )


def _swap(array: Array) -> Array:
  """[B, S, H, K] ↔ [B, H, S, K]."""
  return jnp.swapaxes(array, 1, 2)
