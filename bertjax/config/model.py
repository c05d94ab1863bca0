# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of encoders, and how and where they are computed."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bertjax.config.fields import Above, AtLeast, Positive, Rate, ReadWhen

Count = Annotated[int, AtLeast(1)]


def has_windows(model: Any) -> bool:
  """Whether some layers attend within a window only."""
  return model.attention_pattern == "window"


_LEARNED = ("{}positions=learned", lambda own, _: own.positions == "learned")
_WINDOWED = ("{}attention_pattern=window", lambda own, _: has_windows(own))


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  """Shape of an encoder and its choices; the defaults are BERT-base.

  Every choice is a field of its own, and a family is a record of such fields
  (`configs/families.py`). `checks.check_model` refuses choices that exclude
  each other. BERT is of Devlin et al. (2018).
  """

  num_layers: Count = 12
  hidden_size: Count = 768
  num_heads: Count = 12
  # The width between the two products of a feed-forward: of each half, where
  # it is gated.
  intermediate_size: Count = 3072
  # 0 follows the store's vocabulary, padded to a multiple of 128: matrix units
  # work in tiles, and ragged ones cost more (MaxText pads the same way).
  vocab_size: Annotated[int, AtLeast(0)] = 30522
  # Positions of the longest row; a table has `position_offset` rows more.
  max_positions: Count = 512
  # 0 has no table of types. With fewer than 2, types of a batch are not read.
  type_vocab_size: Annotated[int, AtLeast(0)] = 2
  # Whether pre-training has a pooler, and on it the head of pairs.
  pooler: bool = True
  # What makes the pooled state of a sequence that a linear layer reads, after a
  # product of its own: the tanh of BERT's pooler; DistilBERT's ReLU; or
  # ModernBERT's `activation` and norm, which stand on the mean, tokens and
  # spans as well.
  sequence_head: Literal["pooler", "relu", "norm"] = "pooler"
  # The width of embeddings, if a projection widens them to `hidden_size` (Lan
  # et al., 2020, section 3.1); 0 has no projection.
  embedding_size: Annotated[int, AtLeast(0)] = 0
  # Groups of neighboring layers that share all of their weights (Lan et al.,
  # 2020, section 3.1); 0 gives each layer weights of its own.
  layer_groups: Annotated[int, AtLeast(0)] = 0
  # "gelu" is the erf form of the first release and of Hugging Face;
  # "gelu_tanh" is Google's since 2019-02-07 (commit bee6030) and NVIDIA's.
  activation: Literal["gelu", "gelu_tanh", "silu", "relu"] = "gelu"
  # "gated" multiplies the activation of one product by another one (Shazeer,
  # 2020).
  feed_forward: Literal["mlp", "gated"] = "mlp"
  # Whether projections have a bias. Those to logits always have.
  use_bias: bool = True
  # Norms after each residual sum, or before each branch and after the last
  # layer (Xiong et al., 2020).
  norm_position: Literal["post", "pre"] = "post"
  # "rms" neither subtracts the mean nor has a bias (Zhang and Sennrich, 2019).
  norm: Literal["layer", "layer_without_bias", "rms"] = "layer"
  # The ε of any norm.
  layer_norm_epsilon: Positive = 1e-12
  # Whether the sum of embeddings is normalized.
  embedding_norm: bool = True
  # Whether the first layer has a norm before its attention. ModernBERT's first
  # layer has none, because its embeddings are normalized already.
  first_attention_norm: Annotated[
    bool,
    ReadWhen(
      "{0}norm_position=pre and {0}embedding_norm=True",
      lambda own, _: own.norm_position == "pre" and own.embedding_norm,
    ),
  ] = True
  # A learned table; sines and cosines that are not learned (Vaswani et al.,
  # 2017, section 3.5); or queries and keys that are turned (Su et al., 2021).
  positions: Literal["learned", "sinusoidal", "rotary"] = "learned"
  # How the learned position table starts: "normal" as published; "sinusoid"
  # learns to attend to neighbors in fewer steps.
  position_init: Annotated[
    Literal["normal", "sinusoid"], ReadWhen(*_LEARNED)
  ] = "normal"
  # The row of the table that the first position has; fairseq keeps the first
  # ones for padding.
  position_offset: Annotated[int, AtLeast(0), ReadWhen(*_LEARNED)] = 0
  # Wavelengths go from 2π positions to 2π · base.
  rotary_base: Annotated[
    float,
    Above(1),
    ReadWhen("{}positions=rotary", lambda own, _: own.positions == "rotary"),
  ] = 10_000.0
  # The base in layers that attend within a window; 0 takes `rotary_base`.
  rotary_local_base: Annotated[
    float,
    AtLeast(0),
    ReadWhen(
      "{0}positions=rotary and {0}attention_pattern=window",
      lambda own, _: own.positions == "rotary" and has_windows(own),
    ),
  ] = 0.0
  # "window" lets a position attend to its neighbors only, but in every
  # `global_every`-th layer, from the first one (Beltagy et al., 2020; Warner et
  # al., 2024).
  attention_pattern: Literal["full", "window"] = "full"
  # Neighbors in a window, half on either side.
  attention_window: Annotated[int, ReadWhen(*_WINDOWED)] = 128
  global_every: Annotated[int, AtLeast(1), ReadWhen(*_WINDOWED)] = 3
  hidden_dropout_rate: Rate = 0.1
  attention_dropout_rate: Rate = 0.1
  # Of these two fields a model without dropout has a choice as well: it may be
  # fine-tuned with dropout.
  # The rate at which the output of attention is dropped: that of hidden states
  # or of attention weights, or none.
  attention_output_dropout: Literal["hidden", "attention", "none"] = "hidden"
  # Where `hidden_dropout_rate` drops in a feed-forward: its output, its inner
  # states, or nowhere.
  mlp_dropout_place: Literal["output", "inner", "none"] = "output"
  initializer_std: Positive = 0.02
  # "bert" draws every kernel with `initializer_std`. "scaled" divides it by
  # √(2 · num_layers) where a branch ends and in heads, and takes
  # hidden_size^-½ for linear layers to logits (Warner et al., 2024).
  init: Literal["bert", "scaled"] = "bert"

  @property
  def head_size(self) -> int:
    """Width of one attention head."""
    return self.hidden_size // self.num_heads

  @property
  def embedding_width(self) -> int:
    """Columns of the embedding tables."""
    return self.embedding_size or self.hidden_size

  @property
  def local_base(self) -> float:
    """Base of rotations in layers that attend within a window."""
    return self.rotary_local_base or self.rotary_base

  @property
  def num_stacked(self) -> int:
    """Layers that have weights of their own: the stack of parameters."""
    return self.layer_groups or self.num_layers


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


def given_rate(rate: float, draws: str) -> float:
  """Return the dropout rate that draws give: the nearest that they can.

  Args:
    rate: the rate that is asked for.
    draws: one of `ComputeConfig.dropout_draws`.
  """
  values = 2 ** int(draws.removeprefix("uint"))
  return round(rate * values) / values


_DROPS = (
  "a hidden_dropout_rate or attention_dropout_rate above 0",
  lambda _, run: drops(run),
)


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
  # The attention kernel; splash is for TPUs, cudnn for GPUs, flash for both.
  # "auto" takes splash, a kernel of JAX's own, where the platform and the
  # model's shape and dropout allow it, and else xla. bertjax has run none of
  # them on a device. flash drops attention weights inside the kernel, by draws
  # of its own that are the same on any mesh, whatever `dropout_rng`.
  attention: Literal["auto", "xla", "splash", "cudnn", "flash"] = "auto"
  # The activations that the backward pass recomputes instead of keeping: none;
  # attention weights; all but the outputs of dense layers (dots); all (full).
  remat: Literal["none", "attention", "dots", "full"] = "none"
  # Layers in one iteration of the scan over layers. 0 chooses: on one CPU all
  # of them, in float32 where there are few; else one.
  unroll: Annotated[int, AtLeast(0)] = 0
  # "threefry" drops the same on any mesh and backend. "rbg" is much cheaper on
  # TPUs, and drops the same on the same mesh, backend and compiler only.
  dropout_rng: Annotated[Literal["threefry", "rbg"], ReadWhen(*_DROPS)] = (
    "threefry"
  )
  # The random number that decides whether an element is dropped. A uint8 is
  # half of the memory traffic on TPUs, and half of threefry's work. It gives a
  # rate in parts of 256, and what is kept is scaled by that: 0.1 is 0.1016.
  dropout_draws: Annotated[Literal["uint16", "uint8"], ReadWhen(*_DROPS)] = (
    "uint16"
  )
