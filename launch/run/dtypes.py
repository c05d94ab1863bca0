# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Say what computes in bfloat16 on a device that does not have it."""

import functools
import logging
import pathlib
from typing import Any

from launch.hosts import compile_cache

_LOG = logging.getLogger(__name__)
# Flags of /proc/cpuinfo for products of bfloat16: x86, then ARM.
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
_AMPERE = 8  # compute capability of the first GPUs that have it


def warn_of(dtype: str, device: Any) -> None:
  """Warn once, in one line, where `dtype` is computed in another one.

  Args:
    dtype: `compute.dtype` of a config.
    device: a JAX device of this process.
  """
  if reason := find_obstacle(dtype, device):
    _warn_once(reason)


def find_obstacle(
  dtype: str, device: Any, cpuinfo: pathlib.Path = compile_cache.CPUINFO
) -> str:
  """Return what runs instead of products of `dtype`, or ""."""
  if dtype != "bfloat16":
    return ""
  if device.platform == "cpu":
    found = compile_cache.describe_processor(cpuinfo, {})
    flags = {*found.get("flags", ()), *found.get("Features", ())}
    if not flags or flags & _INSTRUCTIONS:  # no flags: the system does not say
      return ""
    name = found.get("model name") or found["machine"]
    lacks = f"this processor ({name}) has no instructions for it"
  elif float(getattr(device, "compute_capability", "") or _AMPERE) < _AMPERE:
    lacks = (
      f"this GPU ({device.device_kind}) is older than Ampere and does not have "
      "it"
    )
  else:
    return ""
  return (
    f"compute.dtype=bfloat16: {lacks}, so products are computed in float32 of "
    "values that are rounded to bfloat16; --config.compute.dtype=float32 "
    "rounds nothing, and may be as fast"
  )


@functools.cache
def _warn_once(reason: str) -> None:
  _LOG.warning("%s", reason)
