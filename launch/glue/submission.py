# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions for test splits, in the files that the GLUE server takes.

A file has the header "index<TAB>prediction" and a row for each row of the test
split, whose label is a string where the labels of the task are strings. A
submission is a .zip of all eleven files, without a folder.
"""

import collections
import pathlib
from collections.abc import Sequence

from bertjax import files
from data_pipelines.tasks.features import EncodedTexts
from data_pipelines.tasks.glue_files import (
  UnlabeledTexts,
  find_tests,
  read_test,
)
from data_pipelines.tasks.glue_tasks import GLUE, GlueTask
from launch.inference.checks import check_texts
from launch.inference.encoding import Texts
from launch.inference.predictor import Predictor, load_predictor
from launch.preflight.policy import Policy

# How many texts are in memory as rows.
_TEXTS = 8192


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
  predictor = load_predictor(model)
  written = []
  for file, path in find_tests(name, folder).items():
    test = read_test(str(path), GLUE[name])
    predictions = predict(predictor, test, policy)
    write_file(output / file, GLUE[name], test, predictions)
    written.append(file)
  return tuple(written)


def predict(
  predictor: Predictor, test: UnlabeledTexts, policy: Policy
) -> list[str | float]:
  """Return the likeliest label, or the score, of each row of a test split.

  Memory is bounded: QQP has 390,965 rows.

  Raises:
    ValueError: the model reads single texts and the split has pairs, or the
      other way around; `policy` makes cut texts a failure.
  """
  texts = Texts(test.texts, test.pairs)
  predictor.check(texts)
  predictions: list[str | float] = []
  counts = collections.Counter[str]()
  for start in range(0, len(test.texts), _TEXTS):
    part = slice(start, start + _TEXTS)
    encoded = predictor.encode(texts.take(part))
    answers = predictor.finish(predictor.start(encoded))
    predictions += [likeliest[0] for likeliest, *_ in answers]
    for name in ("cut", "empty", "tokens", "unknown", "words"):
      counts[name] += getattr(encoded.encoded, name)
  counted = EncodedTexts(
    {},
    counts["cut"],
    counts["empty"],
    counts["tokens"],
    counts["unknown"],
    counts["words"],
  )
  seq_length = predictor.model.head.seq_length
  check_texts(counted, len(test.texts), seq_length, policy)
  return predictions


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
