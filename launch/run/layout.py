# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run tells of the devices that it is laid over."""

from collections.abc import Iterator
from typing import Any

from bertjax.model.parameters import count_parameters
from bertjax.parallel import multihost, sharding
from bertjax.train.program import Program

# Biases and scales may lie whole: they are a hundredth of a model.
_SMALL = 0.02


def describe_layout(program: Program, params: Any) -> Iterator[str]:
  """Yield a line of devices and mesh, and what holds of dropout and ZeRO-1.

  Args:
    program: of the run.
    params: as they lie on the devices, or abstract.
  """
  mesh, config = program.mesh, program.config
  shape = " × ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
  processes = multihost.process_count()
  yield (
    f"{count_parameters(params):,} parameters on {mesh.size} "
    f"{mesh.devices.flat[0].device_kind} ({shape}) of {processes} "
    f"process{'es' * (processes > 1)}"
  )
  if config.compute.dropout_rng == "rbg":
    yield "dropout_rng=rbg: the same on this mesh, backend and compiler only"
  else:
    yield "dropout_rng=threefry: the same on any mesh and backend"
  if not config.mesh.zero1:
    return
  whole = sharding.replicated_share(params)
  if whole > _SMALL:
    yield (
      f"mesh.zero1: {whole:.0%} of the parameters are whole on every device, "
      f"since mesh.data={mesh.shape['data']} divides none of their axes"
    )
