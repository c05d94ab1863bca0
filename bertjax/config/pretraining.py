# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Objective, data, optimizer and course of a pre-training run."""

import dataclasses
from dataclasses import field

from bertjax.config.model import ComputeConfig, MeshConfig, ModelConfig

PAIR_FORMATS = ("segment_pair", "sentence_pair")
INPUT_FORMATS = (*PAIR_FORMATS, "full_sentences", "doc_sentences")
NEXT_SENTENCE = ("off", "nsp", "sop")
MASK_UNITS = ("token", "word", "span")
RANDOM_TOKENS = ("ordinary", "all")
OPTIMIZERS = ("adamw", "adamw_corrected", "lamb", "muon")
SCHEDULES = (
  "linear",
  "linear_joined",
  "polynomial",
  "cosine",
  "constant",
  "warmup_stable_decay",
)


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
  """What is predicted, from which rows.

  `next_sentence="off"` with a pair format means that B is always the true
  continuation; `next_sentence_weight=0` keeps nsp's rows and drops its loss.
  """

  next_sentence: str = "nsp"
  next_sentence_weight: float = 1.0
  input_format: str = "segment_pair"
  mask_rate: float = 0.15
  # What is masked as a whole: a token; a word (whole-word masking,
  # google-research/bert of 2019-05-31); a span of words (SpanBERT, Joshi et
  # al., 2020).
  mask_unit: str = "token"
  # Shares of the chosen positions that become [MASK] or a random token; the
  # others keep their token.
  mask_token_rate: float = 0.8
  random_token_rate: float = 0.1
  # What random tokens are drawn from: "ordinary" leaves out special tokens and
  # unused entries of the vocabulary; "all" includes them, as the original does.
  random_tokens: str = "ordinary"
  # Share cut to a random shorter length (short_seq_prob): of documents with
  # a pair format, as in Google's, and of examples otherwise.
  short_rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which store or stores, and how their sentences become rows."""

  store: str = ""
  # Or several: PATH=WEIGHT,PATH=WEIGHT, the weights being shares of the rows
  # of every batch. They add up to 1, or are scaled to.
  stores: str = ""
  seq_length: int = 128
  # Examples packed into a row; 0 chooses it from the store's length index.
  max_packs: int = 0
  workers: int = 0
  prefetch: int = 4


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
  """BERT's AdamW and its schedule (google-research/bert, optimization.py).

  Other names are told of by `optim.make_optimizer` and `optim.make_schedule`.
  """

  name: str = "adamw"
  learning_rate: float = 1e-4
  schedule: str = "linear"
  warmup_steps: int = 10_000
  schedule_power: float = 0.5  # of polynomial; NVIDIA's, with LAMB
  decay_rate: float = 0.1  # of warmup_stable_decay: the last share of `steps`
  beta1: float = 0.9
  beta2: float = 0.999
  # Outside the square root, and without bias correction, as the original.
  epsilon: float = 1e-6
  weight_decay: float = 0.01
  clip_norm: float = 1.0
  # The global batch is split into this many micro-batches, one after another.
  accumulation: int = 1


@dataclasses.dataclass(frozen=True)
class PhaseConfig:
  """A second phase at another length, in the same run; 0 steps: none.

  A batch size or accumulation of 0 is that of the first phase. With a
  learning rate, each phase has a schedule of its own over its own steps; with
  0, the first one goes on over all of them.
  """

  steps: int = 0  # the last of `steps`
  seq_length: int = 512
  max_packs: int = 0  # as `data.max_packs`
  batch_size: int = 0
  accumulation: int = 0
  learning_rate: float = 0.0
  warmup_steps: int = 0


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
  """When state is saved, and which checkpoints stay."""

  every_steps: int = 1_000
  keep_last: int = 3
  keep_every_steps: int = 0  # 0 keeps none for good


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
  """Periodic evaluation on the validation split, with fixed masks."""

  every_steps: int = 1_000
  batches: int = 100  # at most; 0 takes the whole split
  # Kept at BERT's rate whatever the run trains with, so that runs compare.
  mask_rate: float = 0.15


@dataclasses.dataclass(frozen=True)
class ProfileConfig:
  """Which steps are traced, into `WORKDIR/profile`, for xprof to show."""

  start_step: int = 0  # the first, counted from 1; 0 traces none
  steps: int = 5


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
  """One pre-training run."""

  steps: int = 1_000_000
  batch_size: int = 256  # rows a step, over all devices and micro-batches
  # What a device takes at once: a batch of more is cut into the fewest equal
  # micro-batches that fit. 0 leaves that to `optimizer.accumulation`.
  positions_per_device: int = 0
  seed: int = 0
  init_from: str = ""  # a bundle, for continued pre-training
  allow_changes: str = ""  # identity fields that a rerun may change (law 10)
  log_every_steps: int = 10
  model: ModelConfig = field(default_factory=ModelConfig)
  objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
  data: DataConfig = field(default_factory=DataConfig)
  optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
  phase2: PhaseConfig = field(default_factory=PhaseConfig)
  mesh: MeshConfig = field(default_factory=MeshConfig)
  compute: ComputeConfig = field(default_factory=ComputeConfig)
  checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
  evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
  profile: ProfileConfig = field(default_factory=ProfileConfig)
