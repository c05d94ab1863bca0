# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Optimizers and schedules; `bertjax.optim` defines each name."""

import dataclasses
from typing import Annotated, Literal

from bertjax.config.fields import AtLeast, Positive, Rate, ReadWhen

_DECAYS = ReadWhen(
  "{}weight_decay above 0", lambda own, _: own.weight_decay > 0
)


@dataclasses.dataclass(frozen=True)
class FinetuneOptimizerConfig:
  """An optimizer and the shape of its schedule, without rate and warm-up.

  The defaults are BERT's (google-research/bert, optimization.py).
  """

  name: Literal["adamw", "adamw_corrected", "stable_adamw", "lamb", "muon"] = (
    "adamw"
  )
  schedule: Literal[
    "linear",
    "linear_joined",
    "polynomial",
    "cosine",
    "constant",
    "warmup_stable_decay",
  ] = "linear"
  # Exponent of the decay; the default is NVIDIA's for LAMB.
  schedule_power: Annotated[
    Positive,
    ReadWhen(
      "{}schedule=polynomial", lambda own, _: own.schedule == "polynomial"
    ),
  ] = 0.5
  # Share of all steps, at their end, over which the rate decays.
  decay_rate: Annotated[
    Positive,
    ReadWhen(
      "{}schedule=warmup_stable_decay",
      lambda own, _: own.schedule == "warmup_stable_decay",
    ),
  ] = 0.1
  # Decay of the first moment. Muon takes it for what is no hidden matrix; its
  # matrices have the momentum of Jordan et al. (2024), 0.95.
  beta1: Rate = 0.9
  beta2: Rate = 0.999
  # Added to the root of the second moment; see `bertjax.optim`.
  epsilon: Positive = 1e-6
  # Biases and the scales of layer norms never decay.
  weight_decay: Annotated[float, AtLeast(0)] = 0.01
  # Whether the tables of embeddings decay: a row decays at every step, and is
  # learned only where its token occurs.
  decay_embeddings: Annotated[bool, _DECAYS] = True
  # Whether what is above the encoder and its pooler decays: the heads.
  decay_heads: Annotated[bool, _DECAYS] = True
  clip_norm: Positive = 1.0
  # Micro-batches that the global batch is split into, one after another.
  accumulation: Annotated[int, AtLeast(1)] = 1


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(FinetuneOptimizerConfig):
  """An optimizer and its schedule; the defaults are BERT's."""

  learning_rate: Positive = 1e-4
  warmup_steps: Annotated[int, AtLeast(0)] = 10_000
