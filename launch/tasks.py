# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of fine-tuning data, each with its reader and its task."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bertjax import config as configs
from bertjax.config import FinetuneConfig, ModelConfig, TaskConfig
from bertjax.config import checks as config_checks
from bertjax.finetune import checks
from bertjax.finetune.choice_windows import pool_choices
from bertjax.finetune.classification import TASK as CLASSIFICATION
from bertjax.finetune.multi_label import TASK as MULTI_LABEL
from bertjax.finetune.multiple_choice import TASK as MULTIPLE_CHOICE
from bertjax.finetune.question_answering import FOR_EXACT
from bertjax.finetune.question_answering import TASK as QUESTION_ANSWERING
from bertjax.finetune.regression import TASK as REGRESSION
from bertjax.finetune.tagging import TASK as TAGGING
from bertjax.finetune.task import FinetuneTask
from bertjax.finetune.window_attention import pool_by_attention
from bertjax.parallel.feeding import batch_shards
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks import (
  choices,
  clinc,
  glue,
  question_answering,
  stdlib,
  tabular,
  tagging,
)
from data_pipelines.tasks.batches import MeasuredData, ReadTask, RowOptions
from data_pipelines.tasks.features import Tokenizer
from data_pipelines.tokenizers import tokenizers


class Kind(NamedTuple):
  """A value of `TaskConfig.kind`.

  Attributes:
    read: reads the data.
    task: config → name of the task that is learned from them.
  """

  read: ReadTask
  task: Callable[[TaskConfig], str]


TASKS: Mapping[str, FinetuneTask] = {
  task.name: task
  for task in (
    CLASSIFICATION,
    MULTI_LABEL,
    REGRESSION,
    MULTIPLE_CHOICE,
    TAGGING,
    QUESTION_ANSWERING,
  )
}
# Fields of `TaskConfig` that name files or folders.
PATHS = ("folder", "train", "dev", "test")
# By `TaskConfig.target`; without an entry, "label".
_OF_TARGET = {
  "labels": MULTI_LABEL.name,
  "score": REGRESSION.name,
  "choice": MULTIPLE_CHOICE.name,
}


def _read_table(
  config: TaskConfig, tokenizer: Tokenizer, rows: RowOptions
) -> MeasuredData:
  read = choices.read if config.target == "choice" else tabular.read
  return read(config, tokenizer, rows)


KINDS: Mapping[str, Kind] = {
  "stdlib": Kind(stdlib.read, lambda _: "classification"),
  "table": Kind(
    _read_table,
    lambda config: _OF_TARGET.get(config.target, CLASSIFICATION.name),
  ),
  "glue": Kind(glue.read, glue.task_name),
  "clinc150": Kind(clinc.read, lambda _: "classification"),
  "conll": Kind(tagging.read, lambda _: TAGGING.name),
  "squad": Kind(question_answering.read, lambda _: QUESTION_ANSWERING.name),
}
assert set(KINDS) == set(configs.choices(TaskConfig, "kind"))


def find(config: TaskConfig) -> FinetuneTask:
  """Return the task of a config.

  Raises:
    ValueError: there is no such kind of data.
  """
  task = TASKS[_find_kind(config).task(config)]
  if config.long_texts == "attention" and task.pools:
    return pool_by_attention(task)
  if config.long_texts != "cut" and task.compares:
    return pool_choices(largest=config.long_texts == "max")
  return task


def files_of(
  config: TaskConfig, prefix: str = "config.task."
) -> dict[str, str]:
  """Return {name of its flag: file or folder} of the data of a task.

  Args:
    config: the task.
    prefix: of the flags of its fields.
  """
  values = vars(config).items()
  return {f"{prefix}{name}": path for name, path in values if name in PATHS}


def target_of(task: FinetuneTask) -> str:
  """Return the `TaskConfig.target` of tables for a task."""
  targets = {name: target for target, name in _OF_TARGET.items()}
  return targets.get(task.name, "label")


def _find_kind(config: TaskConfig) -> Kind:
  if config.kind not in KINDS:
    known = ", ".join(KINDS)
    raise ValueError(f"task.kind={config.kind!r}; give one of {known}")
  return KINDS[config.kind]


def load_data(
  config: FinetuneConfig,
  encoder: ModelConfig,
  tokenizer_path: pathlib.Path,
  labels: tuple[str, ...] | None = None,
) -> tuple[MeasuredData, str]:
  """Check a config against an encoder, and read the data of its task.

  Args:
    config: the task, and how to train.
    encoder: shape of the encoder.
    tokenizer_path: folder of the tokenizer's files.
    labels: as of `RowOptions`.

  Returns:
    The data, and the hash of the tokenizer that encoded them.

  Raises:
    ValueError: a field of `config` or a file of the task cannot be used.
  """
  tokenizer = tokenizers.load(tokenizer_path)
  task = find(config.task)
  checks.check_config(config, task, encoder, tokenizer.vocab_size)
  checks.check_shards(config, batch_shards(make_mesh(config.mesh)))
  rows = RowOptions(config.seq_length, config.pack, labels)
  data = _find_kind(config.task).read(config.task, tokenizer, rows)
  if task.name == CLASSIFICATION.name:  # other tasks have another "f1"
    checks.check_metric(config.metric, data.labels)
  if data.pair:
    config_checks.check_pairs(
      encoder,
      f"task.kind={config.task.kind}",
      between=len(tokenizer.template.between),
      second_type=tokenizer.template.second_type,
      fix="a task of single texts",
    )
  if config.metric == "exact" and data.settings.get("null_answers"):
    settings = {**data.settings, FOR_EXACT: 1}
    data = dataclasses.replace(data, settings=settings)
  return data, tokenizer.sha256
