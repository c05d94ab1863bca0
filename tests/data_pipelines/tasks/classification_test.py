# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from bertjax.batch import check_batch
from bertjax.config import TaskConfig
from bertjax.finetune.classification import TASK
from data_pipelines.tasks.classification import (
  Classification,
  LabeledTexts,
  make_reader,
  subsample,
)
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
  data = read(TaskConfig(labels_per_class=1), NumberTokenizer(), 4)
  assert (data.name, data.labels, data.pair) == ("t", ("a", "b"), False)
  # Only the training split is a subsample.
  assert [len(data.splits[s]) for s in ("train", "dev", "test")] == [2, 1, 3]
  for split in data.splits.values():
    (batch,) = split.evaluation(4)
    check_batch(batch, TASK.features)
    check_batch(split.training(seed=0, step=0, batch_size=4), TASK.features)


def test_subsamples_nest_and_leave_no_class_out():
  labels_N = np.asarray([0] * 50 + [1] * 3 + [2] * 20, np.int32)
  few = subsample(labels_N, 5, seed=7)
  more = subsample(labels_N, 10, seed=7)
  assert np.bincount(labels_N[few]).tolist() == [5, 3, 5]
  assert np.bincount(labels_N[more]).tolist() == [10, 3, 10]
  assert set(few) <= set(more)
  assert (subsample(labels_N, 5, seed=7) == few).all()
  assert (subsample(labels_N, 5, seed=8) != few).any()
  assert len(subsample(labels_N, 0, seed=7)) == len(labels_N)
