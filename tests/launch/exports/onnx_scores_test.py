# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of graphs have the names, axes and scores of their task."""

import dataclasses

import numpy as np

from launch.exports.onnx_scores import GraphScores, Labeled
from tests.testing import wrong_answers


def test_rows_of_an_example_are_its_windows_without_needless_padding():
  task, _, windows = wrong_answers.classes()
  sizes = {"label_N": windows["label_N"]}
  for name in ("tokens_NS", "types_NS", "positions_NS"):
    sizes[name] = np.arange(20).reshape(5, 4)
  windows = dataclasses.replace(
    windows,
    arrays=sizes,
    length_N=np.asarray([2, 3, 1, 4, 2]),
    owner_N=np.asarray([0, 1, 1, 2, 3]),
  )
  rows = Labeled(task, "accuracy", windows).rows()
  assert [row["tokens_BS"].shape for row in rows] == [
    (1, 2),
    (2, 3),
    (1, 4),
    (1, 2),
  ]
  assert rows[1]["packs_BS"].tolist() == [[1, 1, 1], [1, 0, 0]]
  assert rows[1]["tokens_BS"].tolist() == [[4, 5, 6], [8, 9, 10]]
  assert rows[1]["starts_BR"].tolist() == [[0], [0]]


def test_outputs_get_the_axes_of_the_task():
  task, _, windows = wrong_answers.classes()
  windows = dataclasses.replace(windows, length_N=np.asarray([2, 3, 1, 3, 2]))
  labeled = Labeled(task, "accuracy", windows)
  shapes = [(2, 2), (1, 3), (2, 3)]  # rows and positions of three examples
  found = labeled.by_window(
    [
      {
        "logits": np.ones((*shape, 4)),
        "start_logits": np.ones(shape),
        "attention": np.ones(shape[0]),
      }
      for shape in shapes
    ]
  )
  assert {name: array.shape for name, array in found.items()} == {
    "logits_NSC": (5, 3, 4),
    "start_logits_NS": (5, 3),
    "attention_N": (5,),
  }
  # What is past the length of a window is zeros.
  assert found["start_logits_NS"].sum(axis=1).tolist() == [2, 2, 1, 3, 2]


def test_scores_are_those_of_the_task():
  task, outputs, windows = wrong_answers.classes()
  labeled = Labeled(task, "macro_f1", windows)
  found = labeled.by_window([{"logits": x[None]} for x in outputs["logits_NC"]])
  exact = labeled.score(found)
  assert exact == task.scores(outputs, windows)
  some = labeled.take(np.asarray([0, 2]))
  assert (
    some.score({"logits_NC": outputs["logits_NC"][[0, 2]]})["accuracy"] == 1
  )
  narrow = {name: value / 2 for name, value in exact.items()}
  both = GraphScores("macro_f1", exact, narrow)
  assert both.judged == (exact["macro_f1"], exact["macro_f1"] / 2)
  lines = both.table().splitlines()
  assert lines[2].startswith("| macro_f1 |")
  assert len(lines) == 2 + len(exact)


def test_logits_are_those_of_whole_texts_where_windows_are_pooled():
  task, _, windows = wrong_answers.classes()
  windows = dataclasses.replace(windows, owner_N=np.asarray([0, 0, 1, 2, 2]))
  logits_NC = np.arange(10.0).reshape(5, 2)
  pooled_EC = Labeled(task, "accuracy", windows).pooled(
    {"logits_NC": logits_NC}
  )
  assert pooled_EC is not None
  assert pooled_EC.tolist() == [[1, 2], [4, 5], [7, 8]]
  for kind in ("choices", "tags"):
    other = wrong_answers.KINDS[kind]()[0]
    assert Labeled(other, "", windows).pooled({"logits_NC": logits_NC}) is None
