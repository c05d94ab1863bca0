# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Equal shares of this machine's devices, for processes that run at once."""

import glob
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
from absl import flags

# Devices that no process is given a part of; dxg is a GPU in WSL.
_INDIVISIBLE = ("accel*", "vfio/[0-9]*", "kfd", "dxg")


class Share(NamedTuple):
  """The devices of one process.

  Attributes:
    text: what they are, for the user.
    cores: CPU cores that it may use; () where this system has no such limit.
    variables: what it has in its environment.
    gpus: number of GPUs; 0 where there are none.
    idle: which devices no process has, for the user; "" for none.
  """

  text: str
  cores: Sequence[int]
  variables: Mapping[str, str]
  gpus: int = 0
  idle: str = ""


def define_flags() -> None:
  """Define --trials_at_once."""
  flags.DEFINE_integer(
    "trials_at_once",
    1,
    "Trials that run at the same time, each with an equal share of the GPUs, "
    "or of the CPU cores, of this machine.",
    lower_bound=1,
  )


def share_devices(count: int) -> list[Share]:
  """Return equal shares of this machine's devices; none for a count of 1.

  Raises:
    ValueError: there are fewer devices than shares, or no part of a device can
      be given to a process.
  """
  if count == 1:
    return []
  limited = hasattr(os, "sched_setaffinity")
  count_cores = os.cpu_count() or 1
  cores = sorted(os.sched_getaffinity(0)) if limited else range(count_cores)
  shares = split_devices(count, find_gpus(os.environ), cores)
  return shares if limited else [each._replace(cores=()) for each in shares]


def split_devices(
  count: int, gpus: Sequence[str], cores: Sequence[int]
) -> list[Share]:
  """Return equal shares of the GPUs and of the cores.

  Raises:
    ValueError: there are fewer GPUs, or cores where there are none, than
      shares.
  """
  devices, kind = (gpus, "GPU") if gpus else (cores, "CPU core")
  if count > len(devices):
    raise ValueError(
      f"--trials_at_once={count} is more than the {len(devices)} {kind}s of "
      f"this machine; give at most {len(devices)}"
    )

  def part(all_: Sequence[Any], number: int) -> Sequence[Any]:
    each = len(all_) // count
    return all_[number * each : (number + 1) * each] if each else all_

  idle = ""
  if left := devices[len(devices) // count * count :]:
    idle = (
      f"{_named(kind, left)} {'stays' if len(left) == 1 else 'stay'} idle: "
      f"{len(devices)} {kind}s are not shared equally by {count} trials at once"
    )
  shares = []
  for number in range(count):
    mine = part(devices, number)
    shares.append(
      Share(
        _named(kind, mine),
        tuple(part(cores, number)),
        {"CUDA_VISIBLE_DEVICES": ",".join(mine)} if gpus else {},
        len(mine) if gpus else 0,
        idle,
      )
    )
  return shares


def _named(kind: str, devices: Sequence[Any]) -> str:
  return f"{kind}{'s' * (len(devices) > 1)} {', '.join(map(str, devices))}"


def find_gpus(variables: Mapping[str, str], root: str = "/dev") -> list[str]:
  """Return the NVIDIA GPUs that a process may use, as CUDA names them.

  Args:
    variables: its environment.
    root: folder of the system's devices.

  Raises:
    ValueError: the host has other devices.
  """
  if variables.get("JAX_PLATFORMS", "").startswith("cpu"):
    return []
  found = glob.glob(f"{root}/nvidia[0-9]*")
  others = [name for name in _INDIVISIBLE if glob.glob(f"{root}/{name}")]
  if others and not found:
    raise ValueError(
      f"--trials_at_once: {root}/{others[0]} is there, and TPUs and AMD's GPUs "
      "are not split between processes; leave it out, or give "
      "--backend=commands or --backend=jobset"
    )
  visible = variables.get("CUDA_VISIBLE_DEVICES")
  if not found:
    return []
  if visible is None:
    # CUDA counts the GPUs that it sees from 0, whatever their files are called:
    # a container may have the third and the fourth alone.
    return [str(number) for number in range(len(found))]
  return [name for name in visible.split(",") if name not in ("", "-1")]


def leave_devices(shares: Sequence[Share]) -> None:
  """Have this process leave the GPUs to others, and compute on CPU devices.

  They are as many as the GPUs of a share, so that a run is checked here for the
  number of devices that it will have. Nothing changes without GPUs.

  Args:
    shares: those of `share_devices`, which have equally many GPUs.

  Raises:
    ValueError: this process has asked JAX for its devices before.
  """
  gpus = max((each.gpus for each in shares), default=0)
  if not gpus:
    return
  try:
    jax.config.update("jax_num_cpu_devices", gpus)
  except RuntimeError as error:
    raise ValueError(
      f"trials_at_once={len(shares)}: this process has asked JAX for its "
      "devices, and may hold memory of GPUs that the trials need; start the "
      "study in a process that has not, as the command does"
    ) from error
  jax.config.update("jax_platforms", "cpu")
