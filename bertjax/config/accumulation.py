# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Into how many micro-batches a batch is cut to fit. No JAX here."""

import dataclasses

from bertjax.config import PretrainConfig
from bertjax.config.checks import mesh_shape


def fit_batches(config: PretrainConfig, num_devices: int) -> PretrainConfig:
  """Fill in accumulation where `positions_per_device` asks for it.

  One that is given (more than 1, in phase 2 more than 0) stays.

  Raises:
    ValueError: a mesh that does not multiply to `num_devices`.
  """
  limit = config.positions_per_device
  if not limit:
    return config
  data, fsdp, _ = mesh_shape(config.mesh, num_devices)
  first, second = config.optimizer, config.phase2
  if first.accumulation == 1:
    parts = _parts(
      config.batch_size, data * fsdp, config.data.seq_length, limit
    )
    first = dataclasses.replace(first, accumulation=parts)
  if second.steps and not second.accumulation:
    rows = second.batch_size or config.batch_size
    parts = _parts(rows, data * fsdp, second.seq_length, limit)
    second = dataclasses.replace(second, accumulation=parts)
  return dataclasses.replace(config, optimizer=first, phase2=second)


def _parts(rows: int, shards: int, length: int, limit: int) -> int:
  """Fewest parts of equal size; single rows where not even one fits."""
  if rows % shards:
    return 1  # which is refused, with the batch as it was given
  own = rows // shards
  return next(
    parts
    for parts in range(1, own + 1)
    if own % parts == 0 and (own // parts * length <= limit or parts == own)
  )
