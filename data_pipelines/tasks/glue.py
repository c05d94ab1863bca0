# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A task of GLUE, from its original files."""

import dataclasses

from bertjax.config import TaskConfig
from data_pipelines.tasks.classification import Classification, make_reader
from data_pipelines.tasks.glue_files import read_tables
from data_pipelines.tasks.glue_tasks import GLUE, LEARNED
from data_pipelines.tasks.labeled_tables import HeldOut, make_data
from data_pipelines.tasks.targets import class_target, score_target


def task_name(config: TaskConfig) -> str:
  """Return the name of the task that is learned.

  Raises:
    ValueError: `config` names no task of GLUE.
  """
  if config.name not in LEARNED:
    raise ValueError(
      f"task.name={config.name!r}; give one of {', '.join(LEARNED)}, for "
      "example by --config=finetune:task=glue/cola"
    )
  return "regression" if GLUE[config.name].is_regression else "classification"


def load_task(config: TaskConfig) -> Classification:
  """Read the train and dev splits of a task of GLUE.

  Test is scored where its labels are public: that of MRPC as Microsoft
  distributes it. For MNLI it is the mismatched dev split. MRPC without the
  list of its dev rows holds some out.

  Raises:
    ValueError: as `read_tables`.
  """
  task_name(config)
  task = GLUE[config.name]
  if not config.folder:
    raise ValueError(
      f"task.folder is empty; give the folder of the files of {task.title}"
    )
  if config.labels_per_class and task.is_regression:
    raise ValueError(
      f"task.labels_per_class={config.labels_per_class}, and {task.title} has "
      "scores and no classes; give 0"
    )
  tables = read_tables(
    config.name, config.folder, skip_bad_rows=config.skip_bad_rows
  )
  data = make_data(
    config.name,
    tables,
    score_target(task.label, task.scores)
    if task.scores
    else class_target(task.labels),
    HeldOut(0.0, config.dev_rate, config.seed),
    f"the labels of the test split of {task.title} are not public",
  )
  notes = []
  if len(task.dev) > 1 and "test" in tables:
    notes.append(f"test is a dev split, too: {tables['test'].path}")
  if "dev" not in tables:
    notes.append(
      f"{tables['train'].path} has no dev_ids.tsv beside it, GLUE's list of "
      f"its dev rows: {len(data.dev):,} rows of its own are held out, and "
      "scores on them are not those of GLUE's dev"
    )
  table = dataclasses.replace(
    data.table,
    notes=tuple(notes),
    unscored_fix="send predictions to the server of GLUE (python -m "
    "launch.glue --write_test)",
  )
  return dataclasses.replace(data, table=table)


read = make_reader(load_task)
