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


class Answering:
  """Stands for the process of a runtime that labels 100 texts a second."""

  def __init__(self):
    self.asked = []

  def send(self, request):
    self.asked.append(request)

  def recv(self):
    texts, _, alone = self.asked[-1]
    seconds = [0.01] * len(texts) if alone else [len(texts) / 100]
    return seconds, [7] * len(texts)


@pytest.fixture
def runtimes(monkeypatch):
  monkeypatch.setattr(prediction.turns, "PAUSE", 0)
  return {"a": Answering(), "b": Answering()}


def test_rounds_end_when_the_time_is_over(runtimes):
  found = prediction.measure(runtimes, TEXTS, [1, 32], 5, lambda: True)
  assert found["a"].rates == {1: [100.0], 32: [100.0]}
  assert found["a"].labels == [7] * len(TEXTS)
  assert len(found["b"].requests) == 3
  found = prediction.measure(runtimes, TEXTS, [1, 32], 5)
  assert len(found["b"].rates[32]) == 5


def test_all_tickets_are_labeled_in_turns(runtimes):
  found = prediction.measure(runtimes, TEXTS, [32], 1)
  for each in runtimes.values():
    each.asked.clear()
  prediction.label_tickets(runtimes, found, TEXTS, 104, lambda: False)
  texts = [text for request in runtimes["b"].asked for text in request[0]]
  assert texts == [TEXTS[i % len(TEXTS)] for i in range(104)]
  assert found["b"].tickets == [100.0] * 11
  for each in found.values():
    each.tickets.clear()
  prediction.label_tickets(runtimes, found, TEXTS, 104, lambda: True)
  assert found["a"].tickets == [100.0]
