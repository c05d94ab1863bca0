# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A task and how it is learnt."""

import dataclasses
from dataclasses import field

from bertjax.config.model import ComputeConfig, MeshConfig
from bertjax.config.pretraining import OptimizerConfig

POOLINGS = ("cls", "mean")


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
  task: TaskConfig = field(default_factory=TaskConfig)
  optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
  mesh: MeshConfig = field(default_factory=MeshConfig)
  compute: ComputeConfig = field(default_factory=ComputeConfig)
