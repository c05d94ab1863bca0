# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A prepared store that is made in a moment, and a run that fits it."""

import pathlib

import numpy as np

from bertjax.config import (
  CheckpointConfig,
  DataConfig,
  EvaluationConfig,
  ModelConfig,
  OptimizerConfig,
  PretrainConfig,
)
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare

NOUNS = ("cod", "eel", "pike", "trout", "ash", "elm", "fir", "oak", "hill")
VERBS = ("sees", "finds", "leaves", "knows")
TOKENS = (
  *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
  *("the", "a", "and", ".", *NOUNS, *VERBS),
)


def make_store(folder, *, seed=0, most_lines=8, validation="0.2"):
  """Write text and vocabulary, and prepare them; return the store's path."""
  generator = np.random.default_rng(seed)
  documents = []
  for _ in range(60):
    lines = []
    for _ in range(generator.integers(3, most_lines + 1)):
      first, second = generator.choice(NOUNS, 2)
      lines.append(f"the {first} {generator.choice(VERBS)} a {second}.")
    documents.append("\n".join(lines))
  folder.mkdir(parents=True, exist_ok=True)
  (folder / "text.txt").write_text("\n\n".join(documents) + "\n")
  (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
  prepare(
    Options(
      corpus=str(folder / "text.txt"),
      output=str(folder / "store"),
      documents="blank_line",
      sentences="lines",
      validation=validation,
      tokenizer=str(folder / "vocab.txt"),
    )
  )
  return str(folder / "store")


def make_stores(folder):
  """Make three stores, the last without validation; return path by name."""
  paths = {}
  for seed, (name, share) in enumerate(
    {"wiki": "0.2", "tickets": "0.2", "notes": "0"}.items()
  ):
    made = make_store(
      folder / name, seed=seed, most_lines=4 + 4 * seed, validation=share
    )
    path = pathlib.Path(made)
    paths[name] = str(path.rename(path.with_name(name)))
  return paths


def mixed(stores, **weights):
  """The data of a run on stores with these weights."""
  text = ",".join(f"{stores[name]}={each}" for name, each in weights.items())
  return DataConfig(stores=text, seq_length=24)


def make_config(store, **changes):
  """A run of seconds; `changes` are fields of `PretrainConfig`."""
  return PretrainConfig(
    **{
      "steps": 6,
      "batch_size": 8,
      "log_every_steps": 2,
      "model": ModelConfig(
        num_layers=2,
        hidden_size=32,
        num_heads=2,
        intermediate_size=64,
        vocab_size=0,
        max_positions=32,
        hidden_dropout_rate=0.0,
        attention_dropout_rate=0.0,
      ),
      "data": DataConfig(store=store, seq_length=24),
      "optimizer": OptimizerConfig(learning_rate=1e-2, warmup_steps=1),
      "checkpoint": CheckpointConfig(every_steps=2),
      "evaluation": EvaluationConfig(every_steps=4, rows=16),
      **changes,
    }
  )


def flags(config):
  """The command-line flags that make `config` of `configs/pretrain.py`."""
  made = ["--config=configs/pretrain.py:size=tiny"]
  for group in ("model", "data", "optimizer", "checkpoint", "evaluation"):
    for name, value in vars(getattr(config, group)).items():
      made.append(f"--config.{group}.{name}={value}")
  values = vars(config)
  names = ("steps", "batch_size", "log_every_steps")
  return made + [f"--config.{name}={values[name]}" for name in names]
