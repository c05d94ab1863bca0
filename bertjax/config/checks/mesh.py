# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a mesh against devices, batch and model.

A mesh that is refused comes with the nearest one that passes all of the checks:
candidates are tried, since an axis that suits the model may not suit the
devices.
"""

import dataclasses
import math
from collections.abc import Iterator

from bertjax.config import MeshConfig, ModelConfig
from bertjax.config.names import PRETRAINING, FieldNames


@dataclasses.dataclass(frozen=True)
class _Rest:
  """What a mesh must suit beside the devices.

  Attributes:
    model: its dimensions.
    rows: rows of a micro-batch must be a multiple of data × fsdp: the global
      batch over the number of micro-batches; 0 where they do not divide.
    slices: `data` is a multiple of it.
  """

  model: ModelConfig | None = None
  rows: int = 0
  slices: int = 1


def mesh_shape(
  config: MeshConfig, num_devices: int, rest: _Rest | None = None
) -> tuple[int, int, int]:
  """Return (data, fsdp, tensor), with the size of an axis of -1 filled in.

  Args:
    config: the mesh.
    num_devices: devices to multiply to.
    rest: what the mesh of the message must suit as well.

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
      f"give {_nearest_mesh(sizes, num_devices, rest or _Rest())}"
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
  rows = batch_size // accumulation if batch_size % accumulation == 0 else 0
  rest = _Rest(model, rows, max(mesh.slices, 1))
  data, fsdp, tensor = mesh_shape(mesh, num_devices, rest)
  nearest = lambda: _nearest_mesh((data, fsdp, tensor), num_devices, rest)
  if mesh.slices > 1 and data % mesh.slices:
    some = any(_suits(shape, rest) for shape in _meshes(num_devices))
    raise ValueError(
      f"mesh.data={data} cannot cross {mesh.slices} slices, each of which "
      "holds a whole number of data × fsdp × tensor; give "
      f"{f'{nearest()}, or ' if some else ''}mesh.slices=1 to ignore slices"
    )
  mesh_slices(mesh, data, mesh.slices or 1)
  for axis, size, name, value in _dimensions(model, fsdp, tensor):
    if value % size:
      raise ValueError(
        f"mesh.{axis}={size} does not divide {name}={value}; give {nearest()}"
      )
  parts = data * fsdp * accumulation
  if batch_size % parts:
    raise ValueError(
      f"{names.batch_size}={batch_size} is not a multiple of mesh data × fsdp "
      f"× {names.accumulation} = {data} × {fsdp} × {accumulation} = {parts}; "
      f"give {max(1, round(batch_size / parts)) * parts}"
    )


def _dimensions(
  model: ModelConfig, fsdp: int, tensor: int
) -> Iterator[tuple[str, int, str, int]]:
  """Yield (mesh axis, its size, field, its value) that must divide."""
  yield "tensor", tensor, "model.num_heads", model.num_heads
  yield "tensor", tensor, "model.intermediate_size", model.intermediate_size
  yield "tensor", tensor, "model.vocab_size", model.vocab_size
  yield "fsdp", fsdp, "model.hidden_size", model.hidden_size
  if model.embedding_size:
    yield "fsdp", fsdp, "model.embedding_size", model.embedding_size


def _nearest_mesh(sizes: tuple[int, ...], num_devices: int, rest: _Rest) -> str:
  """Return the mesh that works and is nearest in `tensor`, then in `fsdp`.

  `data` takes the remaining devices. One device along `tensor` and `fsdp`
  suits any model; if the batch suits no mesh, the batch is refused next.
  """

  def distance(shape: tuple[int, int, int]) -> tuple[float, ...]:
    data, fsdp, tensor = shape
    return (
      not _suits(shape, rest),
      rest.rows % (data * fsdp) > 0,
      abs(tensor - max(1, sizes[2])),
      abs(fsdp - max(1, sizes[1])),
      tensor,
      fsdp,
    )

  best = min(_meshes(num_devices), key=distance)
  return "mesh.data={} mesh.fsdp={} mesh.tensor={}".format(*best)


def _meshes(num_devices: int) -> Iterator[tuple[int, int, int]]:
  for tensor in range(1, num_devices + 1):
    if num_devices % tensor:
      continue
    others = num_devices // tensor
    for fsdp in range(1, others + 1):
      if others % fsdp == 0:
        yield others // fsdp, fsdp, tensor


def _suits(shape: tuple[int, int, int], rest: _Rest) -> bool:
  data, fsdp, tensor = shape
  if data % rest.slices:
    return False
  if rest.model is None:
    return True
  return all(
    value % size == 0
    for _, size, _, value in _dimensions(rest.model, fsdp, tensor)
  )
