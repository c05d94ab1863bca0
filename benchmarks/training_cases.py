# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks that bertjax and transformers fine-tune on alike.

`benchmarks.transformers_training` trains them. Here a task is read once, and
written for the process of transformers.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.torch_training import EVALUATION, Recipe, Rows
from bertjax.batch import Batch
from bertjax.checkpoints import bundle as bundles
from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  TaskConfig,
)
from bertjax.finetune import checks
from bertjax.finetune.arm import Arm
from bertjax.finetune.trial import TrialInputs
from bertjax.interop import huggingface_files
from bertjax.interop.architectures import CLASSIFICATION
from bertjax.interop.outputs import SINGLE_LABEL, Outputs
from data_pipelines.tokenizers import tokenizers
from launch import tasks


class Case(NamedTuple):
  """A task, ready on both sides.

  Attributes:
    config: how to train.
    inputs: our data and programs.
    folder: what the other side reads.
    recipe: how it trains.
    epoch: examples of an epoch.
  """

  config: FinetuneConfig
  inputs: TrialInputs
  folder: pathlib.Path
  recipe: Recipe
  epoch: int

  @property
  def epoch_steps(self) -> int:
    """Number of full batches in an epoch."""
    return max(self.epoch // self.recipe.batch_size, 1)


def make_configs(
  data: pathlib.Path, labels: Sequence[int], epochs: Sequence[float]
) -> dict[str, FinetuneConfig]:
  """Return the configs of both tasks.

  Args:
    data: folder with `banking77` and `rte`.
    labels: labels of each class in training, by task; 0 are all.
    epochs: epochs, by task.
  """
  banking77 = TaskConfig(
    kind="table",
    train=str(data / "banking77" / "train.csv"),
    dev=str(data / "banking77" / "test.csv"),
    label="category",
    test_rate=0,
    labels_per_class=labels[0],
  )
  rte = TaskConfig(
    kind="glue",
    name="rte",
    folder=str(data),
    skip_bad_rows=True,
    labels_per_class=labels[1],
  )
  shared = FinetuneConfig(
    evaluations=1,
    checkpoint_steps=0,
    metric="accuracy",
    optimizer=FinetuneOptimizerConfig(
      name="adamw_corrected", schedule="linear_joined"
    ),
  )
  change = dataclasses.replace
  return {
    "banking77": change(
      shared,
      task=banking77,
      epochs=epochs[0],
      seq_length=128,
      learning_rates=(3e-4,),
    ),
    "rte": change(
      shared,
      task=rte,
      epochs=epochs[1],
      seq_length=128,
      learning_rates=(1e-4,),
    ),
  }


def prepare(
  config: FinetuneConfig, bundle: str, folder: pathlib.Path
) -> tuple[Case, Mapping[str, Any]]:
  """Read a task, and write what the other side needs.

  Args:
    config: how to train.
    bundle: encoder to start from.
    folder: gets `seedN/`, a model with its new head, `seedN.npz`, the rows of
      all its batches, and `evaluation.npz`.

  Returns:
    The task, and what its scores depend on.
  """
  info = bundles.read_pretrained(bundle)
  task = tasks.find(config.task)
  config = checks.with_metric(config, task)
  data, sha256 = tasks.load_data(config, info.model, info.tokenizer_path)
  arm = Arm(task, data, info, config, "bundle", sha256)
  inputs = arm.make_inputs()
  model = dataclasses.replace(
    info.model,
    hidden_dropout_rate=config.hidden_dropout_rate,
    attention_dropout_rate=config.attention_dropout_rate,
  )
  pad_id = tokenizers.load(info.tokenizer_path).pad_id
  folder.mkdir(parents=True, exist_ok=True)
  train, size = data.splits["train"], config.batch_size
  for seed in range(config.seed, config.seed + config.seeds):
    place = folder / f"seed{seed}"
    place.mkdir(exist_ok=True)
    huggingface_files.export_model(
      jax.device_get(inputs.start(seed).params),
      model,
      place,
      architecture=CLASSIFICATION,
      pad_id=pad_id,
      outputs=Outputs(data.labels, SINGLE_LABEL),
    )
    batches = (
      train.training(seed=seed, step=step, batch_size=size)
      for step in range(arm.steps)
    )
    _rows(list(batches)).save(folder / f"seed{seed}.npz")
  whole = [each.arrays for each in data.splits["dev"].evaluation(size)]
  _rows(whole).save(folder / f"{EVALUATION}.npz")
  optimizer = config.optimizer
  recipe = Recipe(
    batch_size=size,
    steps=arm.steps,
    warmup_steps=round(config.warmup_rate * arm.steps),
    learning_rate=config.learning_rates[0],
    beta1=optimizer.beta1,
    beta2=optimizer.beta2,
    epsilon=optimizer.epsilon,
    weight_decay=optimizer.weight_decay,
    clip_norm=optimizer.clip_norm,
  )
  case = Case(config, inputs, folder, recipe, train.num_drawn)
  return case, {**arm.identity(), "rates": list(config.learning_rates)}


def _rows(batches: Sequence[Batch]) -> Rows:
  """Return each text of some batches as a row, in order."""
  found = []
  for batch in batches:
    for row, packs_S in enumerate(batch["packs_BS"]):
      for pack in range(packs_S.max()):
        (at_T,) = np.nonzero(packs_S == pack + 1)
        found.append(
          (
            batch["tokens_BS"][row, at_T],
            batch["types_BS"][row, at_T],
            batch["label_BR"][row, pack],
          )
        )
  length_N = np.array([len(tokens_T) for tokens_T, _, _ in found])
  tokens_NS = np.zeros((len(found), length_N.max()), np.int32)
  types_NS = np.zeros_like(tokens_NS)
  for number, (tokens_T, types_T, _) in enumerate(found):
    tokens_NS[number, : len(tokens_T)] = tokens_T
    types_NS[number, : len(types_T)] = types_T
  label_N = np.array([label for _, _, label in found])
  return Rows(tokens_NS, types_NS, length_N, label_N)
