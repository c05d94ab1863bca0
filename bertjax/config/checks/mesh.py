# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a mesh against devices, batch and model."""

import math

from bertjax.config import MeshConfig, ModelConfig
from bertjax.config.names import PRETRAINING, FieldNames


def mesh_shape(config: MeshConfig, num_devices: int) -> tuple[int, int, int]:
  """Return (data, fsdp, tensor), with the size of an axis of -1 filled in.

  Raises:
    ValueError: the axes cannot multiply to `num_devices`.
  """
  sizes = (config.data, config.fsdp, config.tensor)
  text = f"mesh data={sizes[0]} fsdp={sizes[1]} tensor={sizes[2]}"
  if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
    raise ValueError(
      f"{text}: give sizes of 1 or more, and -1 for at most one axis"
    )
  known = math.prod(size for size in sizes if size != -1)
  if num_devices % known or (-1 not in sizes and known != num_devices):
    raise ValueError(
      f"{text} does not multiply to {num_devices} devices; "
      f"give {_nearest_mesh(sizes, num_devices)}"
    )
  data, fsdp, tensor = (
    num_devices // known if size == -1 else size for size in sizes
  )
  return data, fsdp, tensor


def mesh_slices(config: MeshConfig, data: int, found: int) -> int:
  """Return the number of slices that the axis `data` crosses.

  Args:
    config: its `slices`, where 0 takes `found`.
    data: devices along the axis `data`.
    found: slices that the devices report; 1 if they report none. GPUs report
      each host as a slice.

  Raises:
    ValueError: a number of slices that the devices contradict, or that does
      not divide `data`.
  """
  if config.slices < 0:
    raise ValueError(
      f"mesh.slices={config.slices}; give 0 to follow the devices, or 1 or more"
    )
  slices = config.slices or found
  if slices > 1 < found != slices:
    raise ValueError(
      f"mesh.slices={slices}, and the devices report {found}; give 0 to follow "
      "them, or 1 to ignore slices"
    )
  if data % slices:
    raise ValueError(
      f"mesh.data={data} cannot cross {slices} slices, each of which holds a "
      f"whole number of data × fsdp × tensor; give a multiple of {slices} with "
      "less fsdp or tensor, or mesh.slices=1 to ignore slices"
    )
  return slices


def check_mesh(
  mesh: MeshConfig,
  model: ModelConfig,
  *,
  num_devices: int,
  batch_size: int,
  accumulation: int = 1,
  names: FieldNames = PRETRAINING,
) -> None:
  """Check that a mesh divides devices, batch and model.

  Raises:
    ValueError: it does not divide one of them, with its name and the fix.
  """
  data, fsdp, tensor = mesh_shape(mesh, num_devices)
  mesh_slices(mesh, data, mesh.slices or 1)
  parts = data * fsdp * accumulation
  if batch_size % parts:
    raise ValueError(
      f"{names.batch_size}={batch_size} is not a multiple of mesh data × fsdp "
      f"× {names.accumulation} = {data} × {fsdp} × {accumulation} = {parts}; "
      f"give {max(1, round(batch_size / parts)) * parts}"
    )
  for axis, size, name, value in (
    ("tensor", tensor, "model.num_heads", model.num_heads),
    ("tensor", tensor, "model.intermediate_size", model.intermediate_size),
    ("tensor", tensor, "model.vocab_size", model.vocab_size),
    ("fsdp", fsdp, "model.hidden_size", model.hidden_size),
  ):
    if value % size:
      raise ValueError(
        f"mesh.{axis}={size} does not divide {name}={value}; give a divisor, "
        f"such as {_nearest_divisor(size, value)}"
      )


def _nearest_divisor(size: int, value: int) -> int:
  """Return the divisor of `value` that is nearest to `size`."""
  divisors = [each for each in range(1, value + 1) if value % each == 0]
  return min(divisors, key=lambda each: (abs(each - size), each))


def _nearest_mesh(sizes: tuple[int, ...], num_devices: int) -> str:
  """Keep tensor and fsdp as near as possible; `data` takes the rest."""
  tensor = _nearest_divisor(max(1, sizes[2]), num_devices)
  fsdp = _nearest_divisor(max(1, sizes[1]), num_devices // tensor)
  data = num_devices // (tensor * fsdp)
  return f"data={data} fsdp={fsdp} tensor={tensor}"
