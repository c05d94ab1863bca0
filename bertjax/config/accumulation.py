# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How many micro-batches a global batch is split into. No JAX here."""

import dataclasses

from bertjax.config import PretrainConfig
from bertjax.config.checks import mesh_shape


def micro_batch_size(config: PretrainConfig) -> int:
  """Return the rows of a micro-batch of a phase, over all devices."""
  return config.batch_size // config.optimizer.accumulation


def fit_batches(config: PretrainConfig, num_devices: int) -> PretrainConfig:
  """Fill in the accumulation where `positions_per_device` limits it.

  An accumulation that is given (more than 1, in phase 2 more than 0) stays.

  Raises:
    ValueError: a mesh that does not multiply to `num_devices`.
  """
  limit = config.positions_per_device
  if not limit:
    return config
  data, fsdp, _ = mesh_shape(config.mesh, num_devices)
  first, second = config.optimizer, config.phase2
  if first.accumulation == 1:
    parts = _fewest(
      config.batch_size, data * fsdp, config.data.seq_length, limit
    )
    first = dataclasses.replace(first, accumulation=parts)
  if second.steps and not second.accumulation:
    rows = second.batch_size or config.batch_size
    parts = _fewest(rows, data * fsdp, second.seq_length, limit)
    second = dataclasses.replace(second, accumulation=parts)
  return dataclasses.replace(config, optimizer=first, phase2=second)


def _fewest(rows: int, shards: int, length: int, limit: int) -> int:
  """Return the fewest equal micro-batches whose positions fit a device.

  Where a single row does not fit, each micro-batch has one row a device.
  """
  if rows % shards:
    return 1  # check_mesh refuses this batch, with the size that was given
  rows_per_shard = rows // shards
  return next(
    parts
    for parts in range(1, rows_per_shard + 1)
    if rows_per_shard % parts == 0
    and (rows_per_shard // parts * length <= limit or parts == rows_per_shard)
  )
