# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""FLOPs of a step: by the formula, and by the compiler's own count."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from bertjax.config import PretrainConfig
from bertjax.model.ops.fused_attention import computed_pairs
from bertjax.model.ops.weight_draws import GROUP
from bertjax.objectives import masking
from bertjax.plan import compiling
from bertjax.train import flops


def formula_flops(config: PretrainConfig) -> float:
  """Return the model FLOPs of one step of a phase, with full rows.

  The config has the kernel that was chosen for the devices.
  """
  data = config.data
  reach = flops.kernel_reach(config.model, config.compute)
  return flops.train_flops(
    config.model,
    flops.full_counts(
      config.batch_size, data.seq_length, data.max_packs, reach
    ),
    config.batch_size * full_targets(config),
  )


def full_targets(config: PretrainConfig) -> int:
  """Return the masked tokens of a full row of equal examples.

  A row has more prediction slots than that, for examples of any length; an
  empty slot is no work of the model.
  """
  data = config.data
  counts = masking.prediction_counts(
    data.seq_length, config.objective.mask_rate
  )
  length, longer = divmod(data.seq_length, data.max_packs)
  lengths = [length + (pack < longer) for pack in range(data.max_packs)]
  return int(counts[lengths].sum())


def attention_flops(config: PretrainConfig) -> float:
  """Return the FLOPs of attention's own products, of those that are computed.

  A kernel computes all pairs of a row, whatever examples are packed into it;
  of a layer with a window, those of the tiles that the window touches.
  """
  model, length, keys = config.model, config.data.seq_length, 0
  if config.compute.attention == "flash":
    keys = GROUP
    length += -length % keys  # it fills rows up to whole tiles
  reach = flops.kernel_reach(model, config.compute)
  pairs = model.num_layers * length**2
  if reach is not None:
    everything = flops.global_layers(model)
    pairs = everything * length**2
    pairs += (model.num_layers - everything) * computed_pairs(
      length, reach, keys
    )
  return 12.0 * config.batch_size * pairs * model.hidden_size


def count_unrolled(
  config: PretrainConfig, devices: Sequence[Any]
) -> tuple[float, float] | None:
  """Return FLOPs and bytes of one device in one step by the compiler's count.

  The compiler counts the body of a loop once. So the step is compiled with one
  layer and with three layers, unrolled, and the count is extrapolated to the
  number of layers. The bytes include traffic that never leaves the chip, so
  they are too many.

  With micro-batches the count of one is multiplied, although the optimizer and
  the reduction of gradients run once a step: this adds few FLOPs, many bytes.

  Returns:
    (FLOPs, bytes); None if the compiler gives no count.
  """
  parts = config.optimizer.accumulation
  one, three = (
    _compile_layers(config, devices, layers, parts) for layers in (1, 3)
  )
  found = []
  for name in ("flops", "bytes_accessed"):
    first, third = getattr(one, name), getattr(three, name)
    if first is None or third is None:
      return None
    layer = (third - first) / 2
    found.append(parts * (first + (config.model.num_layers - 1) * layer))
  return found[0], found[1]


def _compile_layers(
  config: PretrainConfig, devices: Sequence[Any], layers: int, parts: int
) -> compiling.Executable:
  """Compile one micro-batch of a model of `layers` unrolled layers."""
  small = dataclasses.replace(
    config,
    batch_size=config.batch_size // parts,
    # Layers that share weights are all alike, in whatever groups.
    model=dataclasses.replace(
      config.model,
      num_layers=layers,
      layer_groups=min(config.model.layer_groups, 1),
    ),
    compute=dataclasses.replace(config.compute, unroll=layers),
    optimizer=dataclasses.replace(config.optimizer, accumulation=1),
  )
  return compiling.compile_step(compiling.build(small, devices), small)
