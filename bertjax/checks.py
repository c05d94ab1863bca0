# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a user can get wrong, told in one line before anything is compiled.

Nothing here imports JAX, so that a launcher checks before it starts a device.
"""

import math

from bertjax.config import MeshConfig


def mesh_shape(config: MeshConfig, num_devices: int) -> tuple[int, int, int]:
  """Return (data, fsdp, tensor) with "all that are left" filled in.

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
      f"{text} does not divide {num_devices} devices; give axes whose product "
      f"is {num_devices}, or -1 for one of them"
    )
  data, fsdp, tensor = (
    num_devices // known if size == -1 else size for size in sizes
  )
  return data, fsdp, tensor
