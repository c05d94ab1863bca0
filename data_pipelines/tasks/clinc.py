# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""CLINC150: which intent a request has, or none of them."""

from bertjax.config import TaskConfig
from data_pipelines.tasks.classification import Classification, make_reader
from data_pipelines.tasks.clinc_files import read_tables
from data_pipelines.tasks.labeled_tables import HeldOut, make_data
from data_pipelines.tasks.targets import class_target


def load_task(config: TaskConfig) -> Classification:
  """Read the splits of CLINC150, whose out-of-scope texts are a class.

  Raises:
    ValueError: as `read_tables`; dev or test has an intent that train lacks.
  """
  if not config.folder:
    raise ValueError(
      "task.folder is empty; give the folder of data_full.json, or a file like "
      "it"
    )
  tables = read_tables(config.folder, skip_bad_rows=config.skip_bad_rows)
  # Every split has a table.
  nothing = HeldOut(0.0, 0.0, 0)
  return make_data(
    "clinc150",
    tables,
    class_target(),
    nothing,
    "",
    skip_bad_rows=config.skip_bad_rows,
  )


read = make_reader(load_task)
