# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention with dropout of its weights in a kernel, for TPUs and for GPUs.

It computes what `dot_product.attend` computes, under draws that the kernels of
`flash_kernels`, a TPU's, and of `flash_triton`, a GPU's, make where they need
them (`weight_draws`): nothing is stored for every pair of positions, neither
scores nor random bits. Both platforms draw the same.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp

from bertjax.model.ops.flash_inputs import Settings, Shared, States, Tile
from bertjax.model.ops.fused_attention import block_size, on_each_device
from bertjax.model.ops.weight_draws import GROUP, WeightDropout

Array = jax.Array
# Keys in a tile: the draws of one group stay in registers while they are made.
_KEYS = GROUP
# The narrowest heads that Triton multiplies.
_NARROWEST = 16
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
  interpret: Literal["tpu", "gpu"] | None = None,
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
    interpret: run the kernels of this platform in Pallas's interpreter; None
      runs those of the devices.
  """
  platform = interpret or _platform()
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
      platform=platform,
      interpret=interpret is not None,
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
  platform: str,
  interpret: bool,
) -> Array:
  """Bring rows to the length and the layout of the kernels, and back."""
  rows, length = packs_BS.shape
  missing = -length % GROUP
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
  make_settings = lambda tile: Settings(
    dropout.rate if dropout else 0.0,
    dropout.draws if dropout else "",
    tile,
    platform,
    interpret,
  )
  if platform == "gpu":
    # Triton's arrays have sizes that are powers of 2.
    width = states[0].shape[-1]
    wider = max(_NARROWEST, 1 << (width - 1).bit_length()) - width
    room = ((0, 0), (0, missing), (0, 0), (0, wider))
    padded = [jnp.pad(each, room) for each in states]
    settings = make_settings(_gpu_tile(padded[0]))
    context_BSHK: Any = _attend(tuple(padded), shared, settings)
    return context_BSHK[:, :length, :, :width]
  room = ((0, 0), (0, 0), (0, 0), (0, missing))
  padded = [jnp.pad(jnp.transpose(each, (0, 2, 3, 1)), room) for each in states]
  settings = make_settings(_tpu_tile(length + missing))
  context_BHKS: Any = _attend(tuple(padded), shared, settings)
  return jnp.transpose(context_BHKS[..., :length], (0, 3, 1, 2))


def _tpu_tile(length: int) -> Tile:
  return Tile(min(_KEYS, length), block_size(length))


def _gpu_tile(state_BSHK: Array) -> Tile:
  """Return as many queries as Triton's compiler has registers for."""
  head_bytes = state_BSHK.shape[-1] * state_BSHK.dtype.itemsize
  return Tile(GROUP, 64 if head_bytes <= 128 else 32)


def _platform() -> str:
  """Return the platform of the devices that a program is traced for.

  They are those of the mesh, which need not be here, or JAX's own.
  """
  device = jax.sharding.get_abstract_mesh().abstract_device
  return jax.default_backend() if device is None else device.platform


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _attend(states: States, shared: Shared, settings: Settings) -> Array:
  """Return the context in the layout of the states; see `forward`."""
  kernels = _kernels(settings)
  context, _ = kernels.forward(states, shared, settings, keep_logs=False)
  return context


def _attend_forward(
  states: States, shared: Shared, settings: Settings
) -> tuple[Array, Any]:
  kernels = _kernels(settings)
  context, logs = kernels.forward(states, shared, settings, keep_logs=True)
  return context, (states, shared, context, logs)


def _attend_backward(
  settings: Settings, saved: Any, gradient: Array
) -> tuple[Any, None]:
  states, shared, context, logs = saved
  of_context = (context, gradient, logs)
  kernels = _kernels(settings)
  return kernels.backward(states, shared, settings, of_context), None


_attend.defvjp(_attend_forward, _attend_backward)


def _kernels(settings: Settings) -> Any:
  """Return the module of a platform's kernels."""
  # Imported here, because it takes long and few runs need it.
  if settings.platform == "gpu":
    from bertjax.model.ops import flash_triton

    return flash_triton
  from bertjax.model.ops import flash_kernels

  return flash_kernels
