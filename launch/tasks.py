# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of fine-tuning data, each with its reader and its task."""

from collections.abc import Mapping
from typing import NamedTuple

from bertjax.config import TaskConfig, choices
from bertjax.finetune.classification import TASK as CLASSIFICATION
from bertjax.finetune.task import FinetuneTask
from data_pipelines.tasks import stdlib, tabular
from data_pipelines.tasks.batches import ReadTask


class Kind(NamedTuple):
  """A value of `TaskConfig.kind`."""

  read: ReadTask
  task: FinetuneTask


KINDS: Mapping[str, Kind] = {
  "stdlib": Kind(stdlib.read, CLASSIFICATION),
  "table": Kind(tabular.read, CLASSIFICATION),
}
assert set(KINDS) == set(choices(TaskConfig, "kind"))
# By name, in the order of KINDS.
TASKS: Mapping[str, FinetuneTask] = {
  kind.task.name: kind.task for kind in KINDS.values()
}


def find(kind: str) -> Kind:
  """Return the reader and the task of `TaskConfig.kind`.

  Raises:
    ValueError: there is no such kind.
  """
  if kind not in KINDS:
    raise ValueError(f"task.kind={kind!r}; give one of {', '.join(KINDS)}")
  return KINDS[kind]
