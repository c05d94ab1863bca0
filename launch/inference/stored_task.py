# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The data that a fine-tuned model is scored on: its own, or others."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from bertjax.config import (
  FinetuneConfig,
  MeshConfig,
  TaskConfig,
  check_read,
  from_mapping,
  renamed,
  to_mapping,
)
from bertjax.config.fields import drop_unread
from bertjax.finetune.artifact import FinetunedModel
from bertjax.finetune.regression import TASK as REGRESSION
from bertjax.finetune.task import Head
from bertjax.parallel.feeding import batch_shards
from bertjax.parallel.mesh import make_mesh
from configs.finetune import OVERLAYS, get_config
from data_pipelines.tasks.batches import MeasuredData
from data_pipelines.tasks.typed_rows import is_name
from launch import tasks

SPLITS = ("test", "dev", "train")
# "glue" is all of its tasks, for launch.glue.
NAMES = tuple(name for name in OVERLAYS["task"] if name != "glue")
_OF_KIND = {"conll": "ner"}
# Tables by `TaskConfig.target`; those of classes are "table".
_OF_TARGET = {
  "labels": "multi_label",
  "score": "regression",
  "choice": "multiple_choice",
}
# Kinds whose examples are in files that a user names.
_WITH_FILES = ("table", "conll", "squad")
_OF_HEAD = ("stride", "max_question_length", "max_answer_length")


class Asked(NamedTuple):
  """What a user asks to score.

  Attributes:
    task: name of an overlay of configs/finetune.py; "" is that of the model.
    changes: {dotted field: value}, fields of the config that are changed.
    split: one of SPLITS, or a file; "" is test, or dev if there is no test.
  """

  task: str = ""
  changes: Mapping[str, Any] = {}
  split: str = ""


def overlay_name(task: TaskConfig) -> str:
  """Return the value of --task for a config."""
  if task.kind == "glue":
    return f"glue/{task.name}"
  if task.kind == "table":
    return _OF_TARGET.get(task.target, "table")
  return _OF_KIND.get(task.kind, task.kind)


def make_config(
  bundle: str,
  model: FinetunedModel,
  stored: Mapping[str, Any] | None,
  asked: Asked,
) -> FinetuneConfig:
  """Return how to read and score the data that a user asks for.

  The mesh is that of this machine.

  Args:
    bundle: folder of the model, for messages.
    model: the model.
    stored: the config that it was fine-tuned with; None if nobody knows it.
    asked: what is asked for.

  Raises:
    ValueError: the model has another task, or its own is not known; a field
      that is changed has no effect; a file is not there.
  """
  own = read_config(stored)
  config = _fit_machine(_named(bundle, model, own, asked.task))
  check_task(bundle, config.task, model, f"--task={asked.task}", own)
  is_alone = is_file(asked.split)
  config = _changed(config, asked.changes, asked.split if is_alone else "")
  if is_alone:
    _check_alone(bundle, config.task, asked)
  else:
    _check_paths(bundle, config.task, asked.changes)
  return config


def read_config(stored: Mapping[str, Any] | None) -> FinetuneConfig | None:
  """Return the config of a bundle that fine-tuning wrote, None without one."""
  if stored is None:
    return None
  return from_mapping(FinetuneConfig, renamed.current(stored))


def is_source(path: str) -> bool:
  """Return whether there is a file, or the name of a data set."""
  return is_name(path) or pathlib.Path(path).exists()


def is_file(split: str) -> bool:
  """Return whether a value of --split is a file, and no name of a split.

  Raises:
    ValueError: it is neither.
  """
  if not split or split in SPLITS:
    return False
  if is_source(split):
    return True
  raise ValueError(
    f"--split={split} is neither a file nor one of {', '.join(SPLITS)}; give "
    "one of these, or the path of a file"
  )


def with_head(config: FinetuneConfig, head: Head) -> FinetuneConfig:
  """Return a config that reads texts as a head was trained to."""
  task = config.task
  changes: dict[str, Any] = {
    name: int(head.settings[name])
    for name in _OF_HEAD
    if name in head.settings and _reads(task, name)
  }
  if task.kind not in {"conll", "squad"}:
    changes["long_texts"] = _long_texts(head.settings)
  return dataclasses.replace(
    config,
    seq_length=head.seq_length,
    pooling=head.pooling or FinetuneConfig.pooling,
    task=dataclasses.replace(task, **changes),
  )


def check_task(
  bundle: str,
  task: TaskConfig,
  model: FinetunedModel,
  given: str,
  own: FinetuneConfig | None = None,
) -> None:
  """Refuse the data of another task than the model's.

  Args:
    bundle: folder of the model.
    task: the data.
    model: the model.
    given: the flag that named the data.
    own: the config that the model was fine-tuned with, if it is known.

  Raises:
    ValueError: the model has another task.
  """
  found = tasks.find(task).name
  if found == model.task.name:
    return
  fix = "give the config that it was fine-tuned with"
  if own is not None:
    fix = f"it was fine-tuned with --task={overlay_name(own.task)}"
  raise ValueError(
    f"{bundle} is a model of {model.task.name}, and {given} is of {found}; "
    f"{fix}"
  )


def check_data(bundle: str, model: FinetunedModel, data: MeasuredData) -> None:
  """Refuse data that a model does not read, or whose labels it does not know.

  Args:
    bundle: folder of the model, for messages.
    model: the model.
    data: the data.

  Raises:
    ValueError: texts are pairs and the model reads single ones, or the other
      way around; or the labels are not those of the model.
  """
  known, pair = model.head.labels, model.head.pair
  if data.pair != pair:
    forms = ("single texts", "pairs of texts")
    raise ValueError(
      f"{bundle} reads {forms[pair]}, and {data.name} has {forms[data.pair]}; "
      "give the second column with --config.task.text_pair, or none if the "
      "model reads single texts"
    )
  # The name of a score is that of its column.
  if model.task is REGRESSION or tuple(data.labels) == known:
    return
  new = [label for label in data.labels if label not in known]
  gone = [label for label in known if label not in data.labels]
  found = (
    f"the label {new[0]!r}, which it never saw"
    if new
    else (f"no {gone[0]!r}" if gone else "them in another order")
  )
  raise ValueError(
    f"{bundle} knows {len(known)} labels, and {data.name} has {found}; give "
    "task.train of its fine-tuning, which names the labels"
  )


def _reads(task: TaskConfig, name: str) -> bool:
  return name == "stride" or task.kind == "squad"


def _long_texts(settings: Mapping[str, float]) -> str:
  if "stride" not in settings:
    return "cut"
  if settings.get("pool_attention"):
    return "attention"
  return "max" if settings.get("pool_max") else "mean"


def _named(
  bundle: str, model: FinetunedModel, own: FinetuneConfig | None, task: str
) -> FinetuneConfig:
  """Return the config of a task; that of the model has its files, too."""
  if not task:
    if own is None:
      raise ValueError(
        f"{bundle} does not say what it was fine-tuned on; give --task, one of "
        f"{', '.join(NAMES)}, with --split=FILE"
      )
    return own
  named = from_mapping(FinetuneConfig, get_config(f"task={task}").to_dict())
  # A table is one whatever its labels are, which the model knows.
  if own is not None and task in {overlay_name(own.task), own.task.kind}:
    return own
  if task != "table":
    return named
  target = tasks.target_of(model.task)
  return dataclasses.replace(
    named, task=dataclasses.replace(named.task, target=target)
  )


def _changed(
  config: FinetuneConfig, changes: Mapping[str, Any], alone: str
) -> FinetuneConfig:
  """Return a config with other values; `alone` is the one file that is read."""
  mapping = to_mapping(config)
  for path, value in changes.items():
    *groups, name = path.split(".")
    if groups != ["task"] and path != "evaluation_batch_size":
      raise ValueError(
        f"--config.{path}={value} changes nothing here: the model has its own; "
        "give fields of --config.task, or leave it out"
      )
    group = mapping["task"] if groups else mapping
    group[name] = value
  if alone and mapping["task"]["kind"] in _WITH_FILES:
    # Which fields are read depends on the file.
    mapping["task"] |= {"train": alone, "dev": "", "test": alone}
  config = from_mapping(FinetuneConfig, mapping)
  check_read(config, set(changes))
  # Fields of fine-tuning may be read no longer, such as the share of a split
  # that now has a file.
  return drop_unread(config)


def _check_alone(bundle: str, task: TaskConfig, asked: Asked) -> None:
  """Refuse a file beside others, or of data that have no single files."""
  if task.kind not in _WITH_FILES:
    raise ValueError(
      f"--split={asked.split} is a file, and {bundle} was fine-tuned with "
      f"--task={overlay_name(task)}, which reads no single files; give "
      "--task=table and the file's columns (--config.task.text, "
      "--config.task.label), or another --config.task.folder"
    )
  for name in ("train", "dev", "test"):
    if f"task.{name}" in asked.changes:
      raise ValueError(
        f"--split={asked.split} is a file, and --config.task.{name} is given, "
        "too; give one of them"
      )


def _check_paths(
  bundle: str, task: TaskConfig, changes: Mapping[str, Any]
) -> None:
  """Refuse files of fine-tuning that this machine lacks."""
  names = ("train", "dev", "test") if task.kind in _WITH_FILES else ("folder",)
  for name in names:
    path = getattr(task, name)
    if not path or is_name(path) or f"task.{name}" in changes:
      continue
    if not pathlib.Path(path).exists():
      other = "--config.task.folder"
      if task.kind in _WITH_FILES:
        other = f"--config.task.{name}, or --split=FILE to score another file"
      raise ValueError(
        f"{bundle} was fine-tuned with task.{name}={path}, which is not here; "
        f"give {other}"
      )


def _fit_machine(config: FinetuneConfig) -> FinetuneConfig:
  """Return a config for all devices of this machine.

  The mesh of training is that of another machine. It does not change scores,
  and neither do the sizes of batches, which must be multiples of its shards.
  Its kernel of attention may be one that this machine lacks.
  """
  shards = batch_shards(make_mesh(MeshConfig()))
  step = shards * config.optimizer.accumulation
  return dataclasses.replace(
    config,
    mesh=MeshConfig(),
    compute=dataclasses.replace(config.compute, attention="auto"),
    batch_size=-(-config.batch_size // step) * step,
    evaluation_batch_size=-(-config.evaluation_batch_size // shards) * shards,
  )
