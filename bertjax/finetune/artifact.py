# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuned model on disk: a bundle that records its head."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from bertjax.checkpoints.bundle import (
  Details,
  load_params,
  read_bundle_info,
  write_bundle,
)
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune import window_attention
from bertjax.finetune.task import FinetuneTask, Head
from bertjax.model.parameters import POOLER


@dataclasses.dataclass(frozen=True)
class FinetunedModel:
  """A fine-tuned model in memory.

  Attributes:
    task: kind of task.
    head: labels, length and form of the examples.
    model: maps encoder features to the outputs of the task.
    params: parameters of `model`.
    tokenizer_path: folder of the tokenizer's files.
  """

  task: FinetuneTask
  head: Head
  model: nn.Module
  params: Any
  tokenizer_path: pathlib.Path


def save_finetuned(
  path: pathlib.Path,
  params: Any,
  encoder: ModelConfig,
  tokenizer_path: str | pathlib.Path,
  head: Head,
  *,
  tokenizer_files: Mapping[str, str] | None = None,
  **details: Any,
) -> None:
  """Write a fine-tuned model as a bundle, or replace the one at `path`.

  Args:
    path: folder of the bundle.
    params: parameters of the encoder and the head.
    encoder: shape of the encoder.
    tokenizer_path: folder of the tokenizer's files, which are copied.
    head: record of the head.
    tokenizer_files: as `bundle.write_bundle` takes it.
    details: other fields of `Details`.
  """
  details |= {
    "pooler_trained": POOLER in params,
    "task": dataclasses.asdict(head),
    "written_by": "launch.finetune",
  }
  write_bundle(
    path,
    params,
    encoder,
    tokenizer_path,
    Details(**details),
    tokenizer_files,
  )


def load_finetuned(
  path: str | pathlib.Path,
  tasks: Mapping[str, FinetuneTask],
  compute: ComputeConfig | None = None,
) -> FinetunedModel:
  """Read a fine-tuned model.

  Args:
    path: folder of its bundle.
    tasks: {name: task}; the model's task must be one of them.
    compute: how to compute; None is float32.

  Raises:
    ValueError: `path` is not a bundle, is damaged, or has a task that is not
      in `tasks`.
  """
  if not pathlib.Path(path).exists():
    raise ValueError(
      f"there is no model at {path}; give WORKDIR/model of launch.finetune, "
      "which is there once a run is done"
    )
  info = read_bundle_info(path)
  if info.details.task is None:
    raise ValueError(
      f"{path} is not fine-tuned; give WORKDIR/model of launch.finetune, or "
      "texts with [MASK] to launch.predict --text"
    )
  head = Head(**info.details.task)
  head = dataclasses.replace(head, labels=tuple(head.labels))
  task = find_task(str(path), head, tasks)
  model = task.make_model(
    info.model,
    compute or ComputeConfig(),
    num_labels=len(head.labels),
    pooling=head.pooling,
  )
  return FinetunedModel(
    task, head, model, load_params(info), info.tokenizer_path
  )


def find_task(
  path: str, head: Head, tasks: Mapping[str, FinetuneTask]
) -> FinetuneTask:
  """Return the task of a head.

  Args:
    path: folder of its bundle, for messages.
    head: the record.
    tasks: {name: task}.

  Raises:
    ValueError: it is none of `tasks`.
  """
  task = _find(head, tasks)
  if task is None:
    kind = " ".join((head.architecture, head.outputs.problem_type)).strip()
    raise ValueError(
      f"{path} is a {kind} of task {head.task!r}; known here are "
      f"{', '.join(tasks)}. launch.export converts it for transformers"
    )
  if head.settings.get(window_attention.SETTING):
    return window_attention.pool_by_attention(task)
  return task


def _find(head: Head, tasks: Mapping[str, FinetuneTask]) -> FinetuneTask | None:
  if head.task:
    return tasks.get(head.task)
  kind = head.architecture, head.outputs.problem_type
  matching = (
    t for t in tasks.values() if (t.architecture, t.problem_type) == kind
  )
  return next(matching, None)
