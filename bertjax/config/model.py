# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of encoders, and how and where they are computed."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  """Shape of an encoder; the defaults are BERT-base (Devlin et al., 2018)."""

  num_layers: int = 12
  hidden_size: int = 768
  num_heads: int = 12
  intermediate_size: int = 3072
  # 0 takes the store's vocabulary, padded to a multiple of 128 for the
  # matrix units (MaxText pads alike: ragged tiles cost more).
  vocab_size: int = 30522
  max_positions: int = 512
  type_vocab_size: int = 2
  # "gelu" is the erf form of the first release and of Hugging Face;
  # "gelu_tanh" is Google's since 2019-02-07 (commit bee6030) and NVIDIA's.
  activation: str = "gelu"
  hidden_dropout_rate: float = 0.1
  attention_dropout_rate: float = 0.1
  layer_norm_epsilon: float = 1e-12
  initializer_std: float = 0.02
  # What the learnt position table starts as: "normal" as published, or
  # "sinusoid", from which attention to neighbours is a shorter way to go.
  position_init: str = "normal"

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
  """Devices along each mesh axis; one may be -1, "all that are left"."""

  data: int = -1
  fsdp: int = 1
  tensor: int = 1
  # Parameters and optimizer slots in pieces along `data` too, gathered for
  # every step (ZeRO stage 1; weight-update sharding, arXiv 2004.13336).
  zero1: bool = False
  # Groups of devices with a slower network between them, which only `data`
  # crosses; 0 takes what the devices say.
  slices: int = 0


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
  """How a step is computed; changes no parameter's shape or meaning."""

  dtype: str = "float32"  # of activations and products; float32 | bfloat16
  # Kernel of attention: xla | splash (TPU) | cudnn (GPU); "auto" takes the
  # fastest that the platform has and that can do what the model asks for.
  attention: str = "auto"
  # What is computed again on the way back instead of kept: none; attention,
  # its weights; dots, all but products with kernels; full, all of a layer.
  remat: str = "none"
  unroll: int = 1  # layers in one iteration of the scan
  dropout_rng: str = "threefry"  # threefry | rbg (law 1)
