# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Runtimes label alike before they are timed."""

import multiprocessing
from typing import Any

import numpy as np
import pytest

from benchmarks import prediction
from benchmarks.prediction_runtimes import RUNTIMES, serve

TEXTS = prediction.make_texts(24)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp("prediction")
  prediction.make_folders(root, TEXTS)
  return root


def test_texts_have_the_lengths_of_the_questions():
  lengths = [len(text.split()) for text in prediction.make_texts(2000)]
  assert np.mean(lengths) == pytest.approx(14.2, abs=1)
  assert np.median(lengths) == pytest.approx(11, abs=1)


def test_runtimes_give_the_same_labels(root):
  found = {name: make(root)(TEXTS, 8) for name, make in RUNTIMES.items()}
  ours = found["bertjax, float32"]
  assert len(set(ours)) > 5
  for name, labels in found.items():
    if "float32" in name:
      np.testing.assert_array_equal(labels, ours, err_msg=name)
    else:
      assert np.mean(labels == ours) > 0.5, name  # of 77; random weights


def test_a_process_answers_with_seconds_and_labels(root):
  ours: Any
  theirs: Any
  ours, theirs = multiprocessing.Pipe()
  for request in ((TEXTS, 8, False), (TEXTS[:3], 1, True), None):
    ours.send(request)
  name = "ONNX Runtime, float32"
  serve(name, root, theirs)
  seconds, labels = ours.recv()
  assert len(seconds) == 1
  assert labels == RUNTIMES[name](root)(TEXTS, 24).tolist()
  seconds, few = ours.recv()
  assert len(seconds) == 3
  assert few == labels[:3]


def test_the_table_has_medians_and_ratios():
  slow = prediction.Measured({1: [9.0, 10, 11], 32: [100]}, [0.1] * 4, [1, 2])
  fast = prediction.Measured({1: [20.0, 30, 10], 32: [300]}, [0.05] * 4, [1, 3])
  text = prediction.table(
    {"PyTorch, float32": slow, "other": fast}, [1, 32], expected=[1, 3]
  )
  header, _, first, second = text.splitlines()
  assert "texts/s at 32" in header
  cells = [cell.strip() for cell in second.strip("|").split("|")]
  assert cells == [
    *("other", "20", "300", "50.00", "50.00", "2.00  3.00"),
    *("50.00%", "100.00%"),
  ]
  assert "1.00  1.00" in first
