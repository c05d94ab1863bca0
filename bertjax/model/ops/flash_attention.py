# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention with dropout of its weights in a kernel, for TPUs.

It computes what `dot_product.attend` computes, under draws that the kernels of
`flash_kernels` make where they need them (`weight_draws`): nothing is stored
for every pair of positions, neither scores nor random bits.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.model.ops.flash_inputs import Settings, Shared, States, Tile
from bertjax.model.ops.fused_attention import block_size, on_each_device
from bertjax.model.ops.weight_draws import GROUP, WeightDropout

Array = jax.Array
# Keys in a tile: the draws of one group stay in registers while they are made.
_KEYS = GROUP
# The pack of what fills a row up to a multiple of 128 positions.
_NO_PACK = -1


def flash(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  *,
  dropout: WeightDropout | None = None,
  reach: Array | None = None,
  interpret: bool = False,
) -> Array:
  """Return softmax(query · key) · value within each pack, `context_BSHK`.

  Args:
    query_BSHK: already scaled; any S.
    key_BTHK: keys, in the dtype of the query.
    value_BTHK: values, in the dtype of the query.
    packs_BS: number of the packed example, 0 for padding.
    dropout: of attention weights, with the seeds of all rows and heads; None
      drops nothing.
    reach: int32 scalar, the largest distance at which a position attends to
      another one; None for any distance.
    interpret: run the kernels in Pallas's interpreter, on any platform.
  """
  extra: list[tuple[Array, tuple[str | None, ...]]] = []
  if dropout and not dropout.rate:
    dropout = None
  if dropout:
    extra.append((dropout.seeds_BH2, ("batch", "heads", None)))
  if reach is not None:
    extra.append((reach, ()))

  def per_device(
    query: Array, key: Array, value: Array, packs: Array, *more: Array
  ) -> Array:
    rest = list(more)
    return _on_one_device(
      (query, key, value),
      packs,
      dropout._replace(seeds_BH2=rest.pop(0)) if dropout else None,
      rest.pop(0) if rest else None,
      interpret=interpret,
    )

  run = on_each_device(per_device, *(axes for _, axes in extra))
  arrays = (query_BSHK, key_BTHK, value_BTHK, packs_BS)
  return run(*arrays, *(array for array, _ in extra))


def _on_one_device(
  states: States,
  packs_BS: Array,
  dropout: WeightDropout | None,
  reach: Array | None,
  *,
  interpret: bool,
) -> Array:
  """Bring rows to the length and the layout of the kernels, and back."""
  rows, length = packs_BS.shape
  missing = -length % GROUP
  keys, queries = min(_KEYS, length + missing), block_size(length + missing)
  padded = [
    jnp.pad(
      jnp.transpose(each, (0, 2, 3, 1)), ((0, 0), (0, 0), (0, 0), (0, missing))
    )
    for each in states
  ]
  packs_BS = jnp.pad(
    packs_BS.astype(jnp.int32),
    ((0, 0), (0, missing)),
    constant_values=_NO_PACK,
  )
  shared = Shared(
    packs_BS[:, None],
    dropout.seeds_BH2.reshape(rows, 1, -1) if dropout else None,
    None if reach is None else reach.reshape(1, 1),
  )
  settings = Settings(
    dropout.rate if dropout else 0.0,
    dropout.draws if dropout else "",
    Tile(keys, queries),
    interpret,
  )
  context_BHKS: Any = _attend(tuple(padded), shared, settings)
  return jnp.transpose(context_BHKS[..., :length], (0, 3, 1, 2))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _attend(states: States, shared: Shared, settings: Settings) -> Array:
  """Return `context_BHKS`; see `flash_kernels.forward`."""
  # Imported here, because it takes long and few runs need it.
  from bertjax.model.ops import flash_kernels

  context, _ = flash_kernels.forward(states, shared, settings, keep_logs=False)
  return context


def _attend_forward(
  states: States, shared: Shared, settings: Settings
) -> tuple[Array, Any]:
  from bertjax.model.ops import flash_kernels

  context, logs = flash_kernels.forward(
    states, shared, settings, keep_logs=True
  )
  return context, (states, shared, context, logs)


def _attend_backward(
  settings: Settings, saved: Any, slope_BHKS: Array
) -> tuple[Any, None]:
  from bertjax.model.ops import flash_kernels

  states, shared, context, logs = saved
  of_context = (context, slope_BHKS, logs)
  return flash_kernels.backward(states, shared, settings, of_context), None


_attend.defvjp(_attend_forward, _attend_backward)
