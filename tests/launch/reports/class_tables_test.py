# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Few classes have a matrix, and many a list of mistakes."""

import json

import numpy as np

from bertjax.finetune.scores import ClassCounts
from launch import evaluate
from launch.evaluate import Evaluated


def counted(confusion):
  return ClassCounts(
    tuple(confusion.sum(axis=1).tolist()),
    tuple(confusion.sum(axis=0).tolist()),
    tuple(confusion.diagonal().tolist()),
  )


def test_few_classes_have_a_matrix_and_many_a_list():
  few = np.asarray([[3, 1], [0, 2]])
  found = Evaluated(
    "dev", 6, ("a|b", "c"), {"accuracy": 5 / 6}, counted(few), few
  )
  text = evaluate.show(found)
  assert "| accuracy | 0.8333 |" in text
  assert (
    "| a\\|b  |        4 |         3 |    1.0000 | 0.7500 | 0.8571 |" in text
  )
  assert "| a\\|b |    3 |   1 |" in text
  assert json.loads(json.dumps(found.to_json()))["confusion"] == few.tolist()
  ghost = np.asarray([[3, 0], [0, 0]])
  text = evaluate.show(
    Evaluated("dev", 3, ("a", "b"), {}, counted(ghost), None, notes=("Note.",))
  )
  (row,) = (line for line in text.splitlines() if line.startswith("| b "))
  assert [cell.strip() for cell in row.split("|")][-4:-1] == ["–", "–", "–"]
  assert text.endswith("\n\nNote.")
  many = np.eye(20, dtype=np.int64)
  many[3, 4] = 7
  names = tuple(f"class{number}" for number in range(20))
  text = evaluate.show(Evaluated("dev", 27, names, {}, counted(many), many))
  (line,) = (line for line in text.splitlines() if " 7 |" in line[-4:])
  assert "class3 " in line
  assert "class4 " in line
