# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of task by its name."""

import dataclasses
from collections.abc import Callable, Mapping

from bertjax.config import TaskConfig
from data_pipelines.tasks import stdlib, tabular
from data_pipelines.tasks.classification import Task, subsample

KINDS: Mapping[str, Callable[[TaskConfig], Task]] = {
  "stdlib": stdlib.load_task,
  "table": tabular.load_task,
}


def load_task(config: TaskConfig) -> Task:
  """Return the task with as many training labels a class as asked for.

  Dev and test stay whole, so that numbers of labels compare.

  Raises:
    ValueError: an unknown kind, or what the kind refuses.
  """
  if config.kind not in KINDS:
    raise ValueError(
      f"task.kind={config.kind!r}; give one of {', '.join(KINDS)}"
    )
  task = KINDS[config.kind](config)
  chosen = subsample(task.train.labels_N, config.labels_per_class, config.seed)
  return dataclasses.replace(task, train=task.train.take(chosen))
