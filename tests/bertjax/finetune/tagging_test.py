# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.finetune.tagging import TASK
from bertjax.trials.resampling import score_draws
from data_pipelines.tasks.tagging import Words, join_words
from tests.testing.windows import make_windows

LABELS = ("B-a", "I-a", "B-b", "O")


def make_words(words, windows, places):
  text, offsets_W2 = join_words(words)
  return Words(text, words, offsets_W2, np.asarray(windows), np.asarray(places))


def make_outputs(tags_NS):
  """Logits whose likeliest tag is the one that is named."""
  ids_NS = np.asarray([[LABELS.index(t) for t in tags] for tags in tags_NS])
  return {"logits_NSC": 4.0 * np.eye(len(LABELS))[ids_NS]}, ids_NS


def test_only_words_have_a_loss():
  logits_BSC = jnp.asarray([[[0.0, 1.0], [2.0, 0.0], [9.0, 0.0]]])
  batch = {
    "tags_BS": jnp.asarray([[1, 1, 0]]),
    "weight_BS": jnp.asarray([[1.0, 1.0, 0.0]]),
  }
  metrics = TASK.losses({"logits_BSC": logits_BSC}, batch)
  loss, weight = metrics["loss"]
  assert float(weight) == float(TASK.weights(batch)["loss"]) == 2
  expected = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(2))
  assert float(loss) == pytest.approx(expected)
  assert [float(each) for each in metrics["accuracy"]] == [1, 2]


@pytest.fixture
def case():
  """Two texts: one of two windows that share a word, and one of a window.

  The word counts in the second window, where its tag is right.
  """
  examples = (
    make_words(("x", "yy", "z"), [0, 1, 1], [1, 1, 2]),
    make_words(("w",), [0], [2]),
  )
  outputs, _ = make_outputs(
    [["O", "B-a", "B-b"], ["O", "I-a", "O"], ["O", "O", "I-a"]]
  )
  _, tags_NS = make_outputs(
    [["O", "B-a", "O"], ["O", "I-a", "O"], ["O", "O", "B-a"]]
  )
  windows = dataclasses.replace(
    make_windows({"tags_NS": tags_NS}, 3, examples, labels=LABELS),
    owner_N=np.asarray([0, 0, 1]),
  )
  return outputs, windows


def test_each_word_counts_once_in_its_window(case):
  scores = TASK.scores(*case)
  # I-a is read as an entity, which the scheme (BIO) does not allow.
  assert scores["f1"] == scores["precision"] == scores["recall"] == 1
  assert scores["invalid"] == 1 / 2
  assert scores["accuracy"] == 3 / 4
  assert scores["macro_f1"] == 1
  columns = {score for _, score in TASK.columns.values()}
  assert {*TASK.metrics, *columns, "loss", "invalid"} == {*scores}


def test_the_f1_of_entities_follows_from_what_is_kept_of_each_text(case):
  outputs, windows = case
  wrong, _ = make_outputs(
    [["O", "B-a", "B-b"], ["O", "I-a", "B-b"], ["O", "O", "O"]]
  )
  assert TASK.by_example is not None
  for each in (outputs, wrong):
    columns = TASK.by_example(each, windows)
    (found,) = score_draws("f1", columns, np.ones((1, 2)))
    assert found == pytest.approx(TASK.scores(each, windows)["f1"])
  assert {name: [*each] for name, each in columns.items()} == {
    "wanted": [1, 1],
    "given": [2, 0],
    "right": [1, 0],
  }


def test_classes_are_types_of_entities(case):
  assert TASK.count_classes is not None
  counts = TASK.count_classes(*case)
  assert TASK.class_names(LABELS) == ("a", "b")
  assert (counts.labels, counts.predictions) == ((2, 0), (2, 0))
  assert counts.right == (2, 0)


def test_answers_are_the_entities_of_each_text(case):
  outputs, windows = case
  first, second = TASK.answers(outputs, windows, LABELS, ())
  ((text, kind, probability, *places),) = first
  assert (text, kind, places) == ("x yy", "a", [0, 1, 0, 4])
  of_tag = math.exp(4) / (math.exp(4) + 3)
  assert probability == pytest.approx(of_tag**2)
  ((text, kind, probability, *places),) = second
  assert (text, kind, places) == ("w", "a", [0, 0, 0, 1])
  assert len(second[0]) == len(TASK.answer_columns)


def test_the_tag_of_each_word_is_calibrated(case):
  assert TASK.class_logits is not None
  logits_WC, tags_W = TASK.class_logits(*case)
  # Words in their order, each in the window where it counts.
  assert logits_WC.argmax(axis=1).tolist() == [0, 1, 3, 1]
  assert [LABELS[tag] for tag in tags_W] == ["B-a", "I-a", "O", "B-a"]
  answered = TASK.answered(*case)
  assert answered is not None
  assert answered.is_right_N.tolist() == [True, True, True, False]
  of_tag = math.exp(4) / (math.exp(4) + 3)
  np.testing.assert_allclose(answered.confidences(), of_tag)
  assert answered.reliability().error == pytest.approx(of_tag - 3 / 4)


def test_labels_of_no_entities_are_the_answers_of_words(case):
  outputs, windows = case
  first, second = TASK.answers(outputs, windows, ("DT", "NN", "VB", "X"), ())
  assert [(text, label) for text, label, *_ in first] == [
    ("x", "DT"),
    ("yy", "NN"),
    ("z", "X"),
  ]
  assert second[0][:2] == ("w", "NN")


def test_smoothed_weighted_tags_are_those_of_torch():
  torch = pytest.importorskip("torch")
  draw = np.random.default_rng(0)
  logits_BSC = draw.standard_normal((2, 3, 4)).astype(np.float32)
  tags_BS = np.asarray([[0, 1, 2], [3, 1, 0]])
  class_C = np.asarray([0.5, 2, 1, 3], np.float32)
  weight_BS = class_C[tags_BS]
  weight_BS[1, 2] = 0
  batch = {"tags_BS": jnp.asarray(tags_BS), "weight_BS": jnp.asarray(weight_BS)}
  outputs = {"logits_BSC": jnp.asarray(logits_BSC)}
  plain = TASK.losses(outputs, batch)["loss"]
  targets = np.where(weight_BS > 0, tags_BS, -100).ravel()
  logits = torch.tensor(logits_BSC.reshape(-1, 4))
  wanted = torch.nn.CrossEntropyLoss(torch.tensor(class_C))(
    logits, torch.tensor(targets)
  )
  assert float(plain[0] / plain[1]) == pytest.approx(float(wanted), rel=1e-5)
  even = {**batch, "weight_BS": jnp.asarray((weight_BS > 0), jnp.float32)}
  smooth = TASK.losses(outputs, even, label_smoothing=0.2)["loss"]
  wanted = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(
    logits, torch.tensor(targets)
  )
  assert float(smooth[0] / smooth[1]) == pytest.approx(float(wanted), rel=1e-5)
