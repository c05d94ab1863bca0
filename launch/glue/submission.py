# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions for test splits, in the files that the GLUE server takes.

A file has the header "index<TAB>prediction" and a row for each row of the test
split, whose label is a string where the labels of the task are strings. A
submission is a .zip of all eleven files, without a folder.
"""

import pathlib
from collections.abc import Sequence

from bertjax import files
from data_pipelines.tasks.glue_files import (
  UnlabeledTexts,
  find_tests,
  read_test,
)
from data_pipelines.tasks.glue_tasks import GLUE, GlueTask
from launch import predict
from launch.preflight.policy import Policy


def write_predictions(
  name: str,
  folder: pathlib.Path,
  model: pathlib.Path,
  output: pathlib.Path,
  policy: Policy,
) -> tuple[str, ...]:
  """Predict the labels of a task's test splits, and write them.

  Args:
    name: name of the task.
    folder: folder of its files.
    model: fine-tuned model; that of MNLI for AX.
    output: folder of the predictions.
    policy: limits of the checks.

  Returns:
    The names of the files that are written; none if `folder` has no test.

  Raises:
    ValueError: a test split cannot be read.
  """
  written = []
  for file, path in find_tests(name, folder).items():
    test = read_test(str(path), GLUE[name])
    answers = predict.answer(
      str(model), test.texts, test.pairs, top_k=1, policy=policy
    )
    write_file(
      output / file, GLUE[name], test, [first[0] for first, *_ in answers]
    )
    written.append(file)
  return tuple(written)


def write_file(
  path: pathlib.Path,
  task: GlueTask,
  test: UnlabeledTexts,
  predictions: Sequence[str | float],
) -> None:
  """Write the predictions for a test split."""
  rows = [
    f"{index}\t{_shown(prediction, task)}"
    for index, prediction in zip(test.indices, predictions, strict=True)
  ]
  files.write_text(path, "\n".join(["index\tprediction", *rows, ""]))


def _shown(prediction: str | float, task: GlueTask) -> str:
  if task.scores is None:
    return str(prediction)
  low, high = task.scores
  return f"{min(max(float(prediction), low), high):.3f}"
