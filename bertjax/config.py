# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every hyper-parameter of a run, declared once.

`configs/` derives its `ConfigDict`s from these dataclasses and `launch`
turns them back with `from_mapping`, so that a name means the same thing in a
flag, in a dataclass and in a checkpoint. Nothing here imports JAX.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

PAIR_FORMATS = ("segment_pair", "sentence_pair")
INPUT_FORMATS = (*PAIR_FORMATS, "full_sentences", "doc_sentences")
NEXT_SENTENCE = ("off", "nsp", "sop")
POOLINGS = ("cls", "mean")
OPTIMIZERS = ("adamw", "adamw_corrected", "muon")
SCHEDULES = ("linear", "constant")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  """Shape of an encoder; the defaults are BERT-base (Devlin et al., 2018)."""

  num_layers: int = 12
  hidden_size: int = 768
  num_heads: int = 12
  intermediate_size: int = 3072
  # 0 takes the store's vocabulary, padded to a multiple of 128 for the
  # matrix units (performance.md, technique 12: ragged tiles cost more).
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
class ObjectiveConfig:
  """What is predicted, from which rows.

  `next_sentence="off"` with a pair format means that B is always the true
  continuation; `next_sentence_weight=0` keeps nsp's rows and drops its loss.
  """

  next_sentence: str = "nsp"
  next_sentence_weight: float = 1.0
  input_format: str = "segment_pair"
  mask_rate: float = 0.15
  # Of the chosen positions: [MASK], a random piece; the rest stay as they are.
  mask_token_rate: float = 0.8
  random_token_rate: float = 0.1
  # Share cut to a random shorter length (short_seq_prob): of documents with
  # a pair format, as in Google's, and of examples otherwise.
  short_rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which store, and how its sentences become rows."""

  store: str = ""
  seq_length: int = 128
  # Examples packed into a row; 0 chooses it from the store's length index.
  max_packs: int = 0
  workers: int = 0
  prefetch: int = 4


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
  """BERT's AdamW and its schedule (google-research/bert, optimization.py)."""

  name: str = "adamw"
  learning_rate: float = 1e-4
  schedule: str = "linear"
  warmup_steps: int = 10_000
  beta1: float = 0.9
  beta2: float = 0.999
  # Outside the square root, and without bias correction, as the original.
  epsilon: float = 1e-6
  weight_decay: float = 0.01
  clip_norm: float = 1.0
  # The global batch is split into this many micro-batches, one after another.
  accumulation: int = 1


@dataclasses.dataclass(frozen=True)
class MeshConfig:
  """Devices along each mesh axis; one may be -1, "all that are left"."""

  data: int = -1
  fsdp: int = 1
  tensor: int = 1


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
  """How a step is computed; changes no parameter's shape or meaning."""

  dtype: str = "float32"  # of activations and products; float32 | bfloat16
  remat: str = "none"  # none | dots | full
  unroll: int = 1  # layers in one iteration of the scan
  dropout_rng: str = "threefry"  # threefry | rbg (law 1)


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
class PretrainConfig:
  """One pre-training run."""

  steps: int = 1_000_000
  batch_size: int = 256  # rows a step, over all devices and micro-batches
  seed: int = 0
  init_from: str = ""  # a bundle, for continued pre-training
  allow_changes: str = ""  # identity fields that a rerun may change (law 10)
  log_every_steps: int = 10
  model: ModelConfig = ModelConfig()
  objective: ObjectiveConfig = ObjectiveConfig()
  data: DataConfig = DataConfig()
  optimizer: OptimizerConfig = OptimizerConfig()
  mesh: MeshConfig = MeshConfig()
  compute: ComputeConfig = ComputeConfig()
  checkpoint: CheckpointConfig = CheckpointConfig()
  evaluation: EvaluationConfig = EvaluationConfig()


@dataclasses.dataclass(frozen=True)
class TaskConfig:
  """Which labelled texts, and how many of them are trained on."""

  kind: str = "stdlib"  # stdlib | table
  # Of a table: .csv, .tsv or .jsonl. Without `dev` or `test` that share of
  # every label's training rows is held out instead.
  train: str = ""
  dev: str = ""
  test: str = ""
  text: str = "text"
  text_pair: str = ""  # "" for single texts
  label: str = "label"
  header: str = ""  # "a,b,c" where the files have no header line (CoLA)
  dev_rate: float = 0.1
  test_rate: float = 0.2
  num_packages: int = 12  # of the stdlib task: the largest packages
  labels_per_class: int = 0  # training examples a class; 0 takes all
  seed: int = 0  # of what is held out and of which labels are taken


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
  """One task, several learning rates on dev, several seeds on test.

  `optimizer.learning_rate` and `optimizer.warmup_steps` are replaced by
  `learning_rates` and `warmup_rate`; the rest of `optimizer` holds.
  """

  steps: int = 0  # 0 takes `epochs`
  epochs: float = 3.0
  batch_size: int = 32
  evaluation_batch_size: int = 128
  evaluations: int = 4  # on dev, evenly spread; the last is after all steps
  seq_length: int = 128
  pooling: str = "cls"  # cls | mean
  learning_rates: tuple[float, ...] = (5e-5, 1e-4, 3e-4)
  warmup_rate: float = 0.1
  seed: int = 0  # of the first run; the others count up from it
  seeds: int = 5
  # Runs of each learning rate that its choice on dev is the mean of.
  selection_seeds: int = 1
  metric: str = "accuracy"  # accuracy | macro_f1: what dev is judged by
  hidden_dropout_rate: float = 0.1
  attention_dropout_rate: float = 0.1
  task: TaskConfig = TaskConfig()
  optimizer: OptimizerConfig = OptimizerConfig()
  mesh: MeshConfig = MeshConfig()
  compute: ComputeConfig = ComputeConfig()


@dataclasses.dataclass(frozen=True)
class SweepConfig:
  """Arms that differ in a few fields of `pretrain`, over the same seeds.

  `arms` maps a name to the nested fields that it replaces; `baseline` names
  the arm that the others are subtracted from, seed by seed.
  """

  arms: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  baseline: str = ""
  seed: int = 0  # of the first trial of each arm; the others count up
  seeds: int = 3
  pretrain: PretrainConfig = PretrainConfig()
  finetune: FinetuneConfig = FinetuneConfig()  # the probe of every trial


def from_mapping(kind: type[T], mapping: Mapping[str, Any]) -> T:
  """Build dataclass `kind` from a nested mapping of its fields.

  Raises:
    ValueError: a name that `kind` does not have, or a value of another type.
  """
  return _build(kind, mapping, "")


def _build(kind: type[T], mapping: Mapping[str, Any], prefix: str) -> T:
  hints = get_type_hints(kind)
  values = {}
  for name, value in mapping.items():
    if name not in hints:
      raise ValueError(
        f"{prefix}{name} is no field of {kind.__name__}; it has "
        f"{', '.join(sorted(hints))}"
      )
    if dataclasses.is_dataclass(hints[name]):
      values[name] = _build(hints[name], value, f"{prefix}{name}.")
    else:
      values[name] = _scalar(hints[name], value, prefix + name)
  return kind(**values)


def _scalar(kind: Any, value: Any, name: str) -> Any:
  if kind is float and isinstance(value, int) and not isinstance(value, bool):
    return float(value)
  # bool is a subclass of int, and a flag given as a count is a mistake.
  if isinstance(kind, type) and type(value) is not kind:
    raise ValueError(
      f"{name}={value!r} is a {type(value).__name__}; give a {kind.__name__}"
    )
  return value


def to_mapping(config: Any) -> dict[str, Any]:
  """Nested plain dictionary of a config, the inverse of `from_mapping`."""
  return dataclasses.asdict(config)
