# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which kernel computes attention, on which platform, for which model.

Nothing here imports JAX.
"""

import dataclasses
import functools
import logging
from typing import Any

from bertjax.config import ComputeConfig, ModelConfig, choices
from bertjax.config.checks import cudnn, triton
from bertjax.config.model import has_windows
from bertjax.config.names import PRETRAINING, FieldNames

_LOG = logging.getLogger(__name__)
# Where each kernel runs; "xla" runs anywhere.
_PLATFORMS = {
  "splash": ("tpu",),
  "cudnn": ("gpu",),
  "flash": ("tpu", "gpu"),
}
assert {"auto", "xla", *_PLATFORMS} == set(choices(ComputeConfig, "attention"))
_PLATFORM_NAMES = {
  "tpu": "TPUs from v4 on",
  "gpu": "NVIDIA's GPUs from Ampere on",
}
# Kernels that no one has run on their platform: "auto" does not take them.
_UNTRIED = ("cudnn", "flash")
# What "auto" may take on a platform.
_FASTEST = {"tpu": "splash", "gpu": "cudnn"}
# Values of JAX's `device_kind`; splash does not compile for them.
_OLD_TPUS = ("TPU v2", "TPU v3")
# The compute capability of Ampere: cuDNN's fused attention needs it.
_AMPERE = 8
# Below this, "auto" leaves attention to the compiler, which keeps the scores of
# such rows on the chip, so that splash saves less than a fifth of a microsecond
# for each tile that it starts: benchmarks/log.md, "From what length on splash".
SHORTEST_SPLASH = 384
_SPLASH_LENGTHS = 128
_CUDNN_DTYPES = ("bfloat16", "float16")
# cuDNN goes to 256 on Hopper and later only.
_CUDNN_HEADS = (8, 128)
# flash keeps a head's states on a TPU while it is worked on. The compiler for
# v5e has room for 4,096 positions of 128 numbers of 16 bits.
_FLASH_LENGTH = 4096
_FLASH_BYTES = 2**20
# On a GPU it keeps a tile of them. With more bytes a position and head, it
# would spill registers by the kilobyte, and shared memory would not suffice.
_FLASH_GPU_BYTES = 256
_BYTES = {"float32": 4, "bfloat16": 2}


def choose_attention(
  compute: ComputeConfig,
  model: ModelConfig,
  platform: str,
  seq_length: int,
  names: FieldNames = PRETRAINING,
) -> tuple[str, str]:
  """Return the kernel, or xla, and why no faster kernel can run, or "".

  Args:
    compute: its `attention` is the kernel that is asked for.
    model: shape and dropout of the model.
    platform: platform of the devices; see `platform_of`.
    seq_length: positions of a row.
    names: names of the fields in the reason or the error.

  Raises:
    ValueError: a kernel is asked for by name that this platform does not have
      or that cannot compute this model.
  """
  asked = compute.attention
  if asked == "xla":
    return "xla", ""
  if asked == "auto":
    return _choose(compute, model, platform, seq_length, names)
  if platform not in _PLATFORMS[asked]:
    taken, _ = _choose(compute, model, platform, seq_length, names)
    here = f"{taken} here" + ("" if taken == "xla" else ", or xla")
    places = " and ".join(_PLATFORM_NAMES[each] for each in _PLATFORMS[asked])
    raise ValueError(
      f"compute.attention={asked} runs on {places} only, and this is "
      f"{platform}; give auto, which takes {here}"
    )
  if asked == "flash" and platform == "gpu":
    obstacle = _flash_gpu_obstacle(compute, model)
  else:
    obstacle = _obstacle(asked, compute, model, seq_length, names)
  if obstacle:
    raise ValueError(
      f"compute.attention={asked} {obstacle}, or compute.attention=xla"
    )
  return asked, ""


def spares_pairs(model: ModelConfig, platform: str, seq_length: int) -> bool:
  """Return whether a kernel of a platform would skip what no window holds.

  Short rows are one tile of a kernel, which skips nothing.
  """
  fast = platform in _PLATFORMS["splash"] and seq_length >= SHORTEST_SPLASH
  return has_windows(model) and fast


def resolve(
  compute: ComputeConfig,
  model: ModelConfig,
  device: Any,
  seq_length: int,
  names: FieldNames = PRETRAINING,
) -> ComputeConfig:
  """Return `compute` with the kernel chosen for a device.

  Logs once why "auto" takes the slower kernel, where a user can change that.

  Raises:
    ValueError: see `choose_attention`; or cuDNN is asked for, and JAX's plugin
      finds no cuDNN that it can use; or flash on a GPU, and JAX has no Triton.
  """
  try:
    name, reason = choose_attention(
      compute, model, platform_of(device), seq_length, names
    )
  except ValueError as error:
    if compute.attention != "cudnn" or not (why := cudnn.lacking()):
      raise
    raise ValueError(f"{error}; {why}") from error
  capability = str(getattr(device, "compute_capability", ""))
  if name == "cudnn" and (why := cudnn.lacking(capability)):
    raise ValueError(
      f"compute.attention=cudnn: {why}, or give auto, which takes xla here"
    )
  if name == "flash" and device.platform == "gpu" and (why := triton.lacking()):
    raise ValueError(
      f"compute.attention=flash: {why}, or give auto, which takes xla here"
    )
  if reason:
    _warn_once(reason)
  return dataclasses.replace(compute, attention=name)


def platform_of(device: Any) -> str:
  """Return the platform of a JAX device, by JAX's name.

  A device that lacks the kernels of its platform gets another name: a GPU that
  is not NVIDIA's is "rocm", a GPU before Ampere and a TPU before v4 have the
  name of their kind.
  """
  client = getattr(device, "client", None)
  if "rocm" in getattr(client, "platform_version", ""):
    return "rocm"
  kind = str(getattr(device, "device_kind", ""))
  capability = str(getattr(device, "compute_capability", "") or _AMPERE)
  old = float(capability.partition(".")[0]) < _AMPERE
  return kind if old or kind in _OLD_TPUS else device.platform


def _choose(
  compute: ComputeConfig,
  model: ModelConfig,
  platform: str,
  seq_length: int,
  names: FieldNames,
) -> tuple[str, str]:
  fast = _FASTEST.get(platform, "")
  if not fast or (fast == "splash" and seq_length < SHORTEST_SPLASH):
    return "xla", ""
  obstacle = _obstacle(fast, compute, model, seq_length, names)
  if fast in _UNTRIED:
    return "xla", _untried(fast, obstacle, compute, model, names)
  if obstacle:
    return "xla", (
      f"attention is left to the compiler (xla): {fast}, which is faster, "
      f"{obstacle}"
    )
  return fast, ""


def _untried(
  fast: str,
  obstacle: str,
  compute: ComputeConfig,
  model: ModelConfig,
  names: FieldNames,
) -> str:
  """Return why a GPU gets xla, and what may be asked for; "" for nothing.

  Args:
    fast: the kernel that "auto" would take if it had run on a GPU.
    obstacle: why that cannot run.
    compute: how to compute.
    model: shape and dropout of the model.
    names: names of the fields in the reason.
  """
  why = f"attention is left to the compiler (xla): {fast}"
  rate = model.attention_dropout_rate
  if not obstacle:
    why += ", which may be faster, has not been tried on a GPU"
    kernel = fast
  elif rate and not _flash_gpu_obstacle(compute, model):
    why += (
      f" drops no attention weights, and {names.dropout}={rate}; flash drops "
      "them, may be faster, and has not been tried on a GPU"
    )
    kernel = "flash"
  else:
    return ""
  return f"{why}; --config.compute.attention={kernel} takes it"


def _obstacle(
  name: str,
  compute: ComputeConfig,
  model: ModelConfig,
  seq_length: int,
  names: FieldNames,
) -> str:
  """Return why kernel `name` cannot run here, and the fix; "" if it can."""
  if name == "flash":
    return _flash_obstacle(compute, model, seq_length, names)
  rate = model.attention_dropout_rate
  if rate:
    device = "TPU" if name == "splash" else "GPU"
    return (
      f"drops no attention weights, and {names.dropout}={rate}; set "
      f"--config.{names.dropout}=0, or --config.compute.attention=flash, which "
      f"drops them and has not been tried on a {device}"
    )
  if name == "splash":
    return _splash_obstacle(seq_length, names)
  return _cudnn_obstacle(compute, model, seq_length, names)


def _splash_obstacle(seq_length: int, names: FieldNames) -> str:
  if seq_length % _SPLASH_LENGTHS == 0:
    return ""
  near = max(1, round(seq_length / _SPLASH_LENGTHS)) * _SPLASH_LENGTHS
  return (
    f"works on multiples of {_SPLASH_LENGTHS} positions, and "
    f"{names.seq_length}={seq_length}; give {near}"
  )


def _flash_obstacle(
  compute: ComputeConfig, model: ModelConfig, seq_length: int, names: FieldNames
) -> str:
  head = model.head_size * _BYTES[compute.dtype]
  longest = min(_FLASH_LENGTH, _FLASH_BYTES // head)
  if seq_length <= longest:
    return ""
  return (
    f"has room for {longest} positions of {model.head_size} numbers in "
    f"{compute.dtype}, and {names.seq_length}={seq_length}; give "
    "compute.attention=auto"
  )


def _flash_gpu_obstacle(compute: ComputeConfig, model: ModelConfig) -> str:
  number = _BYTES[compute.dtype]
  widest = _FLASH_GPU_BYTES // number
  if model.head_size <= widest:
    return ""
  fix = "give another model.num_heads"
  if number == _BYTES["float32"] and model.head_size <= 2 * widest:
    fix = "set --config.compute.dtype=bfloat16"
  return (
    f"has room on a GPU for heads of {widest} numbers in {compute.dtype}, and "
    f"model.hidden_size / model.num_heads = {model.head_size}; {fix}"
  )


def _cudnn_obstacle(
  compute: ComputeConfig, model: ModelConfig, seq_length: int, names: FieldNames
) -> str:
  if compute.dtype not in _CUDNN_DTYPES:
    return (
      f"does not compute in compute.dtype={compute.dtype}; set "
      "--config.compute.dtype=bfloat16"
    )
  if has_windows(model):
    # jax 0.10.2, nn.dot_product_attention: no right window unless causal.
    return (
      "has windows to the left only, and model.attention_pattern="
      f"{model.attention_pattern}; give compute.attention=auto"
    )
  step, largest = _CUDNN_HEADS
  if model.head_size % step or model.head_size > largest:
    return (
      f"has heads of {step} to {largest} in steps of {step}, and model."
      f"hidden_size / model.num_heads = {model.head_size}; give "
      "another model.num_heads"
    )
  if seq_length % 2:
    # jax 0.10.2, cudnn/fused_attention_stablehlo.py: a mask in training.
    return (
      "works on an even number of positions, and "
      f"{names.seq_length}={seq_length}; give {seq_length + 1}"
    )
  return ""


@functools.cache
def _warn_once(reason: str) -> None:
  _LOG.warning("%s", reason)
