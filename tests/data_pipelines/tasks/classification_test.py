# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from bertjax.batch import check_batch
from bertjax.config import TaskConfig
from bertjax.finetune import multi_label
from bertjax.finetune.classification import TASK
from data_pipelines.tasks.batches import RowOptions, TaskBatches
from data_pipelines.tasks.classification import (
  Classification,
  LabeledTexts,
  balance_answers,
  make_reader,
  make_targets,
)
from data_pipelines.tasks.features import make_rows
from data_pipelines.tasks.figures import SplitFigures
from tests.testing.number_tokenizer import NumberTokenizer


def make_texts(labels):
  return LabeledTexts(
    tuple(str(10 + i) for i in range(len(labels))),
    None,
    np.asarray(labels, np.int32),
  )


def test_a_reader_makes_the_arrays_that_the_task_declares():
  loaded = Classification(
    "t",
    ("a", "b"),
    make_texts([0, 1, 0, 1, 1]),
    make_texts([1]),
    make_texts([0, 1, 1]),
  )
  read = make_reader(lambda config: loaded)
  data = read(TaskConfig(labels_per_class=1), NumberTokenizer(), RowOptions(4))
  assert (data.name, data.labels, data.pair) == ("t", ("a", "b"), False)
  # Only the training split is a subsample.
  assert [len(data.splits[s]) for s in ("train", "dev", "test")] == [2, 1, 3]
  for split in data.splits.values():
    (batch,) = split.evaluation(4)
    check_batch(batch.arrays, TASK.features)
    check_batch(split.training(seed=0, step=0, batch_size=4), TASK.features)


def test_what_is_read_is_measured():
  loaded = Classification(
    "t",
    ("a", "A", "b"),
    LabeledTexts(
      ("10 11 12", "10  11 12", "13 14", "4 99"),
      None,
      np.asarray([0, 1, 2, 2], np.int32),
    ),
    LabeledTexts(("13 14", "15", ""), None, np.asarray([2, 2, 0], np.int32)),
    None,
  )
  data = make_reader(lambda config: loaded)(
    TaskConfig(), NumberTokenizer(), RowOptions(4)
  )
  assert set(data.splits) == {"train", "dev"}
  figures = data.figures
  assert figures.alike_labels == (("a", "A"),)
  assert figures.splits["train"] == SplitFigures(
    examples=4,
    cut=2,
    empty=0,
    shared=0,
    contradicting=2,
    tokens=10,
    unknown=1,
    words=9,
    by_class=(1, 1, 2),
  )
  dev = figures.splits["dev"]
  assert (dev.shared, dev.empty, dev.by_class) == (1, 1, (1, 0, 2))
  assert figures.tokens_per_word == 13 / 12
  assert figures.unknown_rate == 1 / 13


def test_of_pairs_both_texts_are_measured():
  texts = LabeledTexts(("10 11", "12"), ("13", ""), np.asarray([0, 1]))
  loaded = Classification("t", ("a", "b"), texts, texts, None)
  data = make_reader(lambda config: loaded)(
    TaskConfig(), NumberTokenizer(), RowOptions(5)
  )
  train = data.figures.splits["train"]
  assert (train.cut, train.empty, train.tokens) == (1, 1, 4)
  assert data.figures.splits["dev"].shared == 2


def test_balanced_classes_have_the_same_weight():
  loaded = Classification(
    "t",
    ("a", "b"),
    make_texts([0, 0, 0, 1]),
    make_texts([0, 1]),
    None,
  )
  read = make_reader(lambda config: loaded)
  config = TaskConfig(class_weights="balanced")
  splits = read(config, NumberTokenizer(), RowOptions(4)).splits
  batch = splits["train"].training(seed=0, step=0, batch_size=4)
  weight_B, label_B = batch["weight_BR"][:, 0], batch["label_BR"][:, 0]
  assert weight_B[label_B == 0].tolist() == pytest.approx([2 / 3] * 3)
  assert weight_B[label_B == 1].tolist() == [2.0]
  (part,) = splits["dev"].evaluation(4)
  assert part.arrays["weight_BR"].sum() == 2


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_windows_share_the_label_and_the_weight_of_their_text(pooling):
  texts = LabeledTexts(("10 11 12 13 14", "15"), None, np.asarray([0, 1]))
  loaded = Classification("t", ("a", "b"), texts, texts, None)
  config = TaskConfig(long_texts=pooling, stride=2, class_weights="balanced")
  data = make_reader(lambda _: loaded)(
    config, NumberTokenizer(), RowOptions(5, pack=False)
  )
  train = data.splits["train"]
  assert (len(train), train.num_windows, train.num_drawn) == (2, 3, 3)
  (batch,) = data.splits["dev"].evaluation(4)
  assert batch.arrays["label_BR"][:, 0].tolist() == [0, 0, 1, 0]
  assert batch.arrays["weight_BR"][:, 0].tolist() == [0.5, 0.5, 1, 0]
  assert data.figures.splits["train"].cut == 0
  assert data.figures.splits["train"].windows == 3
  assert data.settings == {"stride": 2, "pool_max": float(pooling == "max")}


@pytest.mark.parametrize(
  ("changes", "wanted"),
  [
    ({"labels_per_class": 2}, "texts of one class each"),
    ({"class_weights": "balanced"}, "texts with classes"),
  ],
)
def test_fields_of_classes_are_refused_for_scores(changes, wanted):
  scores = LabeledTexts(("10", "11"), None, np.asarray([0.5, 3.0], np.float32))
  loaded = Classification("t", ("score",), scores, scores, None)
  (name,) = changes
  with pytest.raises(ValueError, match=f"task.{name}=.* is for {wanted}, "):
    make_reader(lambda config: loaded)(
      TaskConfig(**changes), NumberTokenizer(), RowOptions(4)
    )


def test_a_head_for_scores_starts_at_the_mean_of_training():
  train = LabeledTexts(
    ("10 11 12 13 14", "11", "12"), None, np.asarray([1, 3, 5], np.float32)
  )
  dev = LabeledTexts(("13",), None, np.asarray([9], np.float32))
  for pooling in ("cut", "mean"):
    # A text of several windows counts once.
    data = make_reader(lambda _: Classification("t", ("s",), train, dev, None))(
      TaskConfig(long_texts=pooling, stride=2),
      NumberTokenizer(),
      RowOptions(5),
    )
    assert data.first_bias == (3.0,)
  classes = Classification("t", ("a", "b"), make_texts([0, 1]), train, None)
  read = make_reader(lambda _: dataclasses.replace(classes, dev=classes.train))
  assert not read(TaskConfig(), NumberTokenizer(), RowOptions(5)).first_bias


def test_a_yes_of_a_label_weighs_as_much_in_all_as_a_no():
  # Of five texts: one, two, none and all have the label.
  labels_NC = np.zeros((5, 4), bool)
  labels_NC[0, 0] = labels_NC[:2, 1] = labels_NC[:, 3] = True
  weight_NC = balance_answers(labels_NC)
  assert weight_NC[0].tolist() == [4, 1.5, 1, 1]
  assert (weight_NC[~labels_NC] == 1).all()


def test_balanced_labels_are_those_of_training_counted_by_text():
  labels_NC = np.asarray([[1, 0], [0, 1], [0, 1]], bool)
  texts = LabeledTexts(("10 11 12 13 14", "15", "16"), None, labels_NC)
  loaded = Classification("t", ("a", "b"), texts, texts, None)
  config = TaskConfig(
    long_texts="mean", stride=2, target="labels", class_weights="balanced"
  )
  plain, data = (
    make_reader(lambda _: loaded)(
      each, NumberTokenizer(), RowOptions(5, pack=False)
    )
    for each in (dataclasses.replace(config, class_weights="none"), config)
  )
  for split in data.splits.values():
    check_batch(next(split.evaluation(4)).arrays, multi_label.TASK.features)
  (batch,) = data.splits["train"].evaluation(4)
  weight_BC = batch.arrays["weight_BRC"][:, 0]
  assert weight_BC.tolist() == [[2, 1], [2, 1], [1, 0.5], [1, 0.5]]
  assert batch.arrays["weight_BR"][:, 0].tolist() == [0.5, 0.5, 1, 1]
  (dev,) = data.splits["dev"].evaluation(4)
  assert (dev.arrays["weight_BRC"] == 1).all()
  # Only what is weighed is another data set.
  train, weighed = (each.splits["train"].sha256() for each in (plain, data))
  assert train != weighed
  assert plain.splits["dev"].sha256() == data.splits["dev"].sha256()


def test_weights_of_one_leave_the_hash_of_several_labels_as_it_was():
  labels_NC = np.asarray([[1, 0], [0, 1]], bool)
  rows = make_rows(NumberTokenizer(), [([10], None), ([11], None)], 4)
  targets = make_targets(labels_NC)
  hashed = TaskBatches(rows, targets).sha256()
  del targets["weight_BRC"]
  assert TaskBatches(rows, targets).sha256() == hashed
