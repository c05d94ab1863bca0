# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Readers and tasks fit together, for every kind of data."""

from typing import Any, cast

import pytest

from bertjax.batch import ENCODER_FEATURES
from bertjax.config import FinetuneConfig, TaskConfig, from_mapping
from bertjax.finetune import checks
from bertjax.interop.architectures import ARCHITECTURES
from configs.finetune import get_config
from launch import tasks


def test_tasks_have_names_and_verbs_of_their_own():
  verbs = {task.verb for task in tasks.TASKS.values()}
  assert len(verbs) == len(tasks.TASKS)
  assert "fill_mask" not in verbs
  for kind in tasks.KINDS:
    config = TaskConfig(kind=cast(Any, kind), name="cola")
    assert tasks.find(config) in tasks.TASKS.values()


@pytest.mark.parametrize("task", tasks.TASKS.values(), ids=tasks.TASKS)
def test_a_task_declares_what_the_others_read(task):
  assert not {*task.targets} & {*ENCODER_FEATURES}
  for name, feature in task.targets.items():
    assert name.endswith(f"_{feature.axes}"), name
  assert task.architecture in ARCHITECTURES
  assert checks.with_metric(FinetuneConfig(), task).metric in task.metrics
  scores = {score for _, score in task.columns.values()}
  assert scores <= {*task.metrics, "loss"}


@pytest.mark.parametrize(
  "name", ["multi_label", "regression", "multiple_choice"]
)
def test_a_task_of_tables_has_an_overlay_of_its_name(name):
  config = from_mapping(FinetuneConfig, get_config(f"task={name}").to_dict())
  assert tasks.find(config.task).name == name


def test_an_unknown_kind_is_refused():
  with pytest.raises(ValueError, match=r"task.kind='poem'; give one of stdlib"):
    tasks.find(TaskConfig(kind=cast(Any, "poem")))


def test_a_name_of_glue_has_the_task_of_its_labels():
  for name, task in (("stsb", "regression"), ("mnli", "classification")):
    assert (
      tasks.find(TaskConfig(kind="glue", name=cast(Any, name))).name == task
    )
  with pytest.raises(ValueError, match=r"task.name=''; give one of cola, sst2"):
    tasks.find(TaskConfig(kind="glue"))
