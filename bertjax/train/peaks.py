# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Peak FLOP/s of devices, by the names that JAX has for them.

This module imports no JAX, so that a mistake about chips is reported without
waiting for the import.
"""

import re
from collections.abc import Mapping

# Dense bf16 peaks from the vendors' data sheets, FLOP/s a chip, by the start
# of JAX's `device_kind`; cloud.google.com/tpu/docs for TPUs.
PEAKS: Mapping[str, float] = {
  "TPU v2": 45e12,
  "TPU v3": 123e12,
  "TPU v4": 275e12,
  "TPU v5 lite": 197e12,
  "TPU v5e": 197e12,
  "TPU v5p": 459e12,
  "TPU v5": 459e12,
  "TPU v6 lite": 918e12,
  "TPU v6e": 918e12,
  "TPU7x": 2307e12,
  "NVIDIA H100 PCIe": 756e12,
  "NVIDIA H100": 989e12,
  "NVIDIA H200": 989e12,
  "NVIDIA A100": 312e12,
  "Tesla V100": 125e12,
}
# Slower cards whose names begin like the names of faster cards. Sources
# disagree about their peaks, so a run on such a card reports no MFU. GH200,
# B200 and L4 are left out as well: no certain figure for dense products is
# known.
_UNKNOWN = ("NVIDIA H100 NVL", "NVIDIA H200 NVL")
# Chips of which each core is a JAX device.
_DEVICES_PER_CHIP: Mapping[str, int] = {"TPU v2": 2, "TPU v3": 2, "TPU7x": 2}


def devices_per_chip(device_kind: str) -> int:
  """Return the number of JAX devices of one chip."""
  return next(
    (
      number
      for name, number in _DEVICES_PER_CHIP.items()
      if device_kind.startswith(name)
    ),
    1,
  )


def peak_flops(device_kind: str) -> float | None:
  """Return the dense bf16 FLOP/s of one JAX device; None if unknown."""
  if device_kind.startswith(_UNKNOWN):
    return None
  for name in sorted(PEAKS, key=len, reverse=True):
    # Whole words: an A100X is no A100.
    if re.match(rf"{re.escape(name)}\b", device_kind):
      return PEAKS[name] / devices_per_chip(device_kind)
  return None
