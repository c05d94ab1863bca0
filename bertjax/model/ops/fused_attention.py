# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention in kernels that keep the scores on the chip.

They compute what `dot_product.attend` does without dropout: softmax in
float32, inside packs. On the way back the scores are computed again, so that
nothing is kept for every pair of positions.

The compiler cannot cut a kernel into parts: each device runs it on its own
rows and heads, as the logical axes "batch" and "heads" say.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax.linen.spmd import logical_to_mesh_axes

Array = jax.Array
# Positions in a tile. At 512 a tile of scores in float32 is 1 MiB, and a row
# of 512 positions is one tile: its softmax needs no second look.
_LARGEST_BLOCK = 512
_LANES = 128


def splash(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  *,
  interpret: bool = False,
) -> Array:
  """Return `context_BSHK` by JAX's splash attention, a Pallas kernel for TPUs.

  Args:
    query_BSHK: scaled already; S a multiple of 128.
    key_BTHK: of the same dtype.
    value_BTHK: too.
    packs_BS: 0 padding, which sees itself; else the packed example.
    interpret: compute step by step on any platform.
  """

  def local(query: Array, key: Array, value: Array, packs: Array) -> Array:
    kernel = _make_splash(query.shape[2], query.shape[1], interpret=interpret)
    return _swap(jax.vmap(kernel)(*map(_swap, (query, key, value)), packs))

  return _on_each_device(local)(query_BSHK, key_BTHK, value_BTHK, packs_BS)


def cudnn(
  query_BSHK: Array, key_BTHK: Array, value_BTHK: Array, packs_BS: Array
) -> Array:
  """Return `context_BSHK` by cuDNN's attention, for NVIDIA's GPUs.

  Packs reach it as a mask of the dtype of compute, one for all heads.

  Lowered in the tests, and its mask compared with the plain path; it has not
  been run on a GPU.

  Args:
    query_BSHK: scaled already, bfloat16 or float16.
    key_BTHK: of the same dtype.
    value_BTHK: too.
    packs_BS: 0 padding, which sees itself; else the packed example.
  """

  def local(query: Array, key: Array, value: Array, packs: Array) -> Array:
    return _library(query, key, value, packs, "cudnn")

  return _on_each_device(local)(query_BSHK, key_BTHK, value_BTHK, packs_BS)


# By the names of `ComputeConfig.attention`.
KERNELS: Mapping[str, Callable[..., Array]] = {
  "splash": splash,
  "cudnn": cudnn,
}


def block_size(length: int) -> int:
  """Return the positions in a tile: the most that divide `length`.

  Raises:
    ValueError: no tile does; `length` is no multiple of 128.
  """
  for size in range(_LARGEST_BLOCK, 0, -_LANES):
    if length % size == 0:
      return size
  raise ValueError(
    f"splash attention over {length} positions; give a multiple of {_LANES}"
  )


def _make_splash(
  num_heads: int, length: int, *, interpret: bool
) -> Callable[..., Array]:
  """(`query_HSK`, `key_HTK`, `value_HTK`, `packs_S`) → `context_HSK`."""
  # Not at the top: it takes a while, and few need it.
  from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_kernel as kernels,
  )
  from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_mask as masks,
  )

  block = block_size(length)
  # With a head of 64 as the last axis half of every tile in memory would be
  # padding: 78 MiB a layer of BERT-large at 16 rows of 512.
  layout = kernels.QKVLayout.SEQ_MINOR
  # In one pass the gradient of the query comes in as many parts as there are
  # tiles of keys, to be summed: better where there are few.
  fused = length // block <= 2
  apart = {} if fused else {"block_q_dq": block, "block_kv_dq": block}
  kernel: Any = kernels.make_splash_mha_single_device(
    masks.MultiHeadMask([masks.FullMask((length, length))] * num_heads),
    block_sizes=kernels.BlockSizes(
      block_q=block,
      block_kv=block,
      block_q_dkv=block,
      block_kv_dkv=block,
      use_fused_bwd_kernel=fused,
      q_layout=layout,
      k_layout=layout,
      v_layout=layout,
      **apart,
    ),
    interpret=interpret,
  )

  def attend(
    query_HSK: Array, key_HTK: Array, value_HTK: Array, packs_S: Array
  ) -> Array:
    packs = kernels.SegmentIds(q=packs_S, kv=packs_S)
    return kernel(query_HSK, key_HTK, value_HTK, packs)

  return attend


def _library(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  implementation: Literal["xla", "cudnn"],
) -> Array:
  """Have `jax.nn` attend, with packs as its mask."""
  return jax.nn.dot_product_attention(
    query_BSHK,
    key_BTHK,
    value_BTHK,
    mask=packs_BS[:, None, :, None] == packs_BS[:, None, None, :],
    scale=1.0,
    implementation=implementation,
  )


def _on_each_device(local: Callable[..., Array]) -> Callable[..., Array]:
  """Have `local` see the rows and heads of one device.

  Along the axes of the mesh that a caller has cut by hand it sees its part
  already; those left are cut here.
  """
  mesh = jax.sharding.get_abstract_mesh()
  left = set(mesh.axis_names) - set(mesh.manual_axes)
  if not left:
    return local
  rows, heads = logical_to_mesh_axes(("batch", "heads")) or (None, None)
  states = jax.P(rows, None, heads, None)
  return jax.shard_map(
    local,
    in_specs=(states, states, states, jax.P(rows, None)),
    out_specs=states,
    axis_names=left,
    check_vma=False,
  )


def _swap(array: Array) -> Array:
  """[B, S, H, K] ↔ [B, H, S, K]."""
  return jnp.swapaxes(array, 1, 2)
