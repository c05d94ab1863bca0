# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A few answers of each kind of task, some of them wrong."""

import dataclasses
import types

import numpy as np

from bertjax.finetune import (
  classification,
  multi_label,
  multiple_choice,
  question_answering,
  regression,
  tagging,
)
from bertjax.finetune.windows import Windows
from tests.testing.windows import make_windows

LONG = "a very long text & more of it " * 100
MARKUP = "<script>alert('no')</script>"


def classes():
  """Five texts: the second and the fifth are wrong, the fifth surely."""
  logits_NC = [[4.0, 0, 0], [0.5, 0, 0], [0, 0, 3.0], [2.0, 0, 0], [0, 0, 9.0]]
  return (
    classification.TASK,
    {"logits_NC": np.asarray(logits_NC)},
    make_windows(
      {"label_N": np.asarray([0, 1, 2, 0, 1])},
      5,
      (("zero",), (LONG,), ("two",), ("three",), (MARKUP, "its pair")),
      labels=("lost <card>", "late & lost", "pin"),
    ),
  )


def several_labels():
  """Three texts: the first is right, the third is surely wrong."""
  logits_NC = [[3.0, -3.0], [0.5, 0.5], [-6.0, 0.5]]
  label_NC = np.asarray([[1.0, 0], [1, 0], [1, 1]], np.float32)
  return (
    multi_label.TASK,
    {"logits_NC": np.asarray(logits_NC)},
    make_windows(
      {"label_NC": label_NC},
      3,
      (("fine",), ("nearly",), ("bad",)),
      labels=("rude", "spam"),
    ),
  )


def scores():
  """Scores that are 0, 0.5 and 2 too high."""
  return (
    regression.TASK,
    {"logits_NC": np.asarray([[1.0], [2.5], [5.0]])},
    make_windows(
      {"score_N": np.asarray([1.0, 2.0, 3.0])},
      3,
      (("a", "b"), ("c", "d"), ("e", "f")),
    ),
  )


def choices():
  """Two questions, of which the second one is wrong."""
  examples = (
    types.SimpleNamespace(context="He sat", choices=("down", "up", "green")),
    types.SimpleNamespace(context="She ate", choices=("a stone", "a pear")),
  )
  return (
    multiple_choice.TASK,
    {"logits_NC": np.asarray([[4.0], [1], [3], [3], [0]])},
    dataclasses.replace(
      make_windows(
        {"label_N": np.asarray([1.0, 0, 0, 0, 1])}, 5, examples=examples
      ),
      owner_N=np.asarray([0, 0, 0, 1, 1]),
    ),
  )


def tags():
  """Two texts: Ann is found, Rome is a person, and York Road is too short."""
  labels = ("B-LOC", "B-PER", "I-LOC", "O")
  wanted = [["B-PER", "O", "B-LOC"], ["O", "B-LOC", "I-LOC"]]
  given = [["B-PER", "O", "B-PER"], ["O", "B-LOC", "O"]]
  ids = [
    np.asarray(
      [[3, *(labels.index(tag) for tag in each), 3] for each in found], np.int32
    )
    for found in (wanted, given)
  ]
  examples = tuple(_words(text) for text in ("Ann likes Rome", "in York Road"))
  return (
    tagging.TASK,
    {"logits_NSC": 4.0 * np.eye(4)[ids[1]]},
    make_windows({"tags_NS": ids[0]}, 2, examples, labels=labels),
  )


def _words(text):
  words = text.split()
  starts = [text.index(word) for word in words]
  return types.SimpleNamespace(
    text=text,
    words=words,
    offsets_W2=np.asarray(
      [(s, s + len(w)) for s, w in zip(starts, words, strict=True)]
    ),
    window_W=np.zeros(len(words), np.int64),
    place_W=np.arange(len(words)) + 1,
  )


def questions():
  """Two questions of a long context: the second one has no answer."""
  context = "far " * 90 + "Elms grow here " + "and on " * 80 + "eels swim there"
  tokens = context.split()
  stops_T = np.cumsum([len(token) + 1 for token in tokens]) - 1
  starts_T = stops_T - [len(token) for token in tokens]
  size = len(tokens)

  def ask(question, answers):
    return types.SimpleNamespace(
      question=question,
      context=context,
      answers=answers,
      offsets_T2=np.stack([starts_T, stops_T], axis=1),
      window_T=np.zeros(size, np.int64),
      start_W=np.zeros(1, np.int64),
      shift=2,
    )

  logits_NS = np.zeros((2, size + 3))
  logits_NS[:, 2 + tokens.index("eels")] = 9
  zeros_N = np.zeros(2, np.int32)
  return (
    question_answering.TASK,
    {"start_logits_NS": logits_NS, "end_logits_NS": logits_NS},
    Windows(
      {
        "start_N": zeros_N,
        "end_N": zeros_N,
        "weight_N": np.ones(2, np.float32),
      },
      np.full(2, size + 3),
      np.arange(2),
      (ask("What grows?", ("Elms",)), ask("Who flies?", ())),
      settings={"null_answers": 1, "null_threshold": 0.0},
    ),
  )


KINDS = {
  each.__name__: each
  for each in (classes, several_labels, scores, choices, tags, questions)
}
