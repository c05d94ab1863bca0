# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fill in what a compute config leaves to the devices."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from bertjax.config.checks import kernels
from bertjax.config.model import ComputeConfig, ModelConfig
from bertjax.config.names import PRETRAINING, FieldNames

# From more layers on a loop is as fast in float32, and compiles in less than
# half of the time (benchmarks/log.md).
_FEW_LAYERS = 6


def resolve(
  compute: ComputeConfig,
  model: ModelConfig,
  devices: Sequence[Any],
  seq_length: int,
  names: FieldNames = PRETRAINING,
) -> ComputeConfig:
  """Return `compute` without open choices.

  Args:
    compute: as the user gave it.
    model: shape and dropout of the model.
    devices: JAX devices of the whole mesh, real or of a topology.
    seq_length: positions of a row.
    names: names of the fields in a reason or an error.

  Raises:
    ValueError: see `kernels.resolve`.
  """
  chosen = kernels.resolve(compute, model, devices[0], seq_length, names)
  unroll = chosen.unroll or _choose_unroll(chosen, model, devices)
  return dataclasses.replace(chosen, unroll=unroll)


def _choose_unroll(
  compute: ComputeConfig, model: ModelConfig, devices: Sequence[Any]
) -> int:
  """Return how many layers an iteration of the scan should have.

  A loop keeps a stack of each state for the reverse pass. A CPU copies the
  states in and out, and of bfloat16 it converts the whole stack to float32 and
  back for each layer. On meshes, collectives overlap products inside the loop,
  and without it large programs take minutes to compile.
  """
  one_cpu = len(devices) == 1 and devices[0].platform == "cpu"
  # Without a loop the compiler would find the recomputed states to be the same
  # as the kept ones, and keep them.
  recomputes = compute.remat != "none"
  many = model.num_layers > _FEW_LAYERS and compute.dtype == "float32"
  return 1 if recomputes or many or not one_cpu else model.num_layers
