# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import statistics

import pytest

from data_pipelines.tasks.glue_tasks import GLUE
from launch.glue.published import COLUMNS, PUBLISHED, cells


def test_a_column_is_a_file_of_the_server():
  files = {file for task in GLUE.values() for file in task.tests.values()}
  assert {f"{column}.tsv" for column in COLUMNS} == files
  for reported in COLUMNS.values():
    assert reported.task in GLUE


@pytest.mark.parametrize(
  ("model", "average"), [("BERT-Base", 79.6), ("BERT-Large", 82.1)]
)
def test_rows_have_the_average_of_the_paper(model, average):
  # Table 1 leaves WNLI out and has no diagnostic set.
  scores = [
    float(score)
    for column, score in PUBLISHED[model].items()
    if column not in {"WNLI", "AX"}
  ]
  assert statistics.mean(scores) == pytest.approx(average, abs=0.06)


def test_cells_follow_the_models():
  assert cells("RTE") == ["57.2", "57.9", "61.8", "62.2", "66.4", "70.1"]
