# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of encoders, and how and where they are computed."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bertjax.config.fields import AtLeast, Positive, Rate, ReadWhen

Count = Annotated[int, AtLeast(1)]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  """Shape of an encoder; the defaults are BERT-base (Devlin et al., 2018)."""

  num_layers: Count = 12
  hidden_size: Count = 768
  num_heads: Count = 12
  intermediate_size: Count = 3072
  # 0 follows the store's vocabulary, padded to a multiple of 128: matrix units
  # work in tiles, and ragged ones cost more (MaxText pads the same way).
  vocab_size: Annotated[int, AtLeast(0)] = 30522
  max_positions: Count = 512
  type_vocab_size: Count = 2
  # "gelu" is the erf form of the first release and of Hugging Face;
  # "gelu_tanh" is Google's since 2019-02-07 (commit bee6030) and NVIDIA's.
  activation: Literal["gelu", "gelu_tanh"] = "gelu"
  hidden_dropout_rate: Rate = 0.1
  attention_dropout_rate: Rate = 0.1
  layer_norm_epsilon: Positive = 1e-12
  initializer_std: Positive = 0.02
  # How the learned position table starts: "normal" as published; "sinusoid"
  # learns to attend to neighbors in fewer steps.
  position_init: Literal["normal", "sinusoid"] = "normal"

  @property
  def head_size(self) -> int:
    """Width of one attention head."""
    return self.hidden_size // self.num_heads


def _size(layers: int, hidden: int) -> ModelConfig:
  # All published sizes have heads of 64 and a feed-forward of 4 × hidden.
  return ModelConfig(
    num_layers=layers,
    hidden_size=hidden,
    num_heads=hidden // 64,
    intermediate_size=4 * hidden,
  )


# google-research/bert, README.md: BERT-Base and -Large, and the 24 smaller
# models of Turc et al. (2019), of which these four have names.
SIZES: Mapping[str, ModelConfig] = {
  "tiny": _size(2, 128),
  "mini": _size(4, 256),
  "small": _size(4, 512),
  "medium": _size(8, 512),
  "base": _size(12, 768),
  "large": _size(24, 1024),
}


@dataclasses.dataclass(frozen=True)
class MeshConfig:
  """Devices along each mesh axis; one may be -1, "all remaining devices"."""

  data: int = -1
  fsdp: int = 1
  tensor: int = 1
  # Shard parameters and optimizer state along `data` as well, and all-gather
  # the parameters once a step (ZeRO stage 1; weight-update sharding, arXiv
  # 2004.13336).
  zero1: Annotated[
    bool, ReadWhen("another {}data than 1", lambda own, _: own.data != 1)
  ] = False
  # Groups of devices with a slower network between them, which only the axis
  # `data` crosses; 0 takes the number that the devices report.
  slices: int = 0


def drops(config: Any) -> bool:
  """Whether a run, of pre-training or fine-tuning, has dropout."""
  rates = getattr(config, "model", config)
  return bool(rates.hidden_dropout_rate or rates.attention_dropout_rate)


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
  """How a step is computed; changes no parameter's shape or meaning."""

  # The dtype of activations and matrix products.
  dtype: Literal["float32", "bfloat16"] = "float32"
  # The dtype in which gradients travel along mesh.data, where they are added
  # up: that of compute, which is half the traffic, or float32, whose sum over
  # many devices loses nothing.
  gradient_dtype: Annotated[
    Literal["compute", "float32"],
    ReadWhen("{}dtype=bfloat16", lambda own, _: own.dtype != "float32"),
  ] = "compute"
  # The attention kernel; splash runs on TPUs, cudnn on GPUs. "auto" takes the
  # fastest that has been tried on the platform and that the model's shape and
  # dropout allow: splash or xla. cudnn has not been tried on a GPU.
  attention: Literal["auto", "xla", "splash", "cudnn"] = "auto"
  # The activations that the backward pass recomputes instead of keeping: none;
  # attention weights; all but the outputs of dense layers (dots); all (full).
  remat: Literal["none", "attention", "dots", "full"] = "none"
  # Layers in one iteration of the scan over layers.
  unroll: Count = 1
  # "threefry" drops the same on any mesh and backend. "rbg" is much cheaper on
  # TPUs, and drops the same on the same mesh, backend and compiler only.
  dropout_rng: Annotated[
    Literal["threefry", "rbg"],
    ReadWhen(
      "a hidden_dropout_rate or attention_dropout_rate above 0",
      lambda _, run: drops(run),
    ),
  ] = "threefry"
