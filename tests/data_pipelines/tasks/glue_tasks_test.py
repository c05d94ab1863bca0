# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from data_pipelines.tasks.glue_tasks import GLUE


def test_every_file_of_a_submission_has_one_task():
  files = [file for task in GLUE.values() for file in task.tests.values()]
  assert sorted(files) == sorted(
    f"{name}.tsv"
    for name in (
      *("CoLA", "SST-2", "MRPC", "STS-B", "MNLI-m", "MNLI-mm", "QNLI", "QQP"),
      *("RTE", "WNLI", "AX"),
    )
  )


def test_a_task_has_labels_or_scores():
  for name, task in GLUE.items():
    assert bool(task.labels) != task.is_regression, name
    assert len(task.columns) in {0, 3}
    assert len(task.named) in {0, len(task.labels)}
    assert task.metrics


def test_the_diagnostic_set_has_the_labels_of_mnli():
  assert GLUE["ax"].labels == GLUE["mnli"].labels
