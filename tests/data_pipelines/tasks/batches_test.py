# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from bertjax.batch import check_batch
from bertjax.finetune.classification import TASK
from data_pipelines.tasks.batches import TaskBatches, order
from data_pipelines.tasks.classification import make_targets
from data_pipelines.tasks.features import encode_texts
from tests.testing.number_tokenizer import NumberTokenizer

EXPECTED = "7b752233479a1202018f18958fb2120e0d4144cd8619c31d09fa01754e5ae6bf"


@pytest.fixture
def batches():
  rows = encode_texts(
    NumberTokenizer(), [str(10 + i) for i in range(10)], None, 4
  ).features
  return TaskBatches(rows, make_targets(np.arange(10)))


def test_training_batches_are_pure_in_seed_and_step(batches):
  late = batches.training(seed=3, step=7, batch_size=4)
  check_batch(late, TASK.features)
  for step in range(9):
    batches.training(seed=4, step=step, batch_size=4)
  again = batches.training(seed=3, step=7, batch_size=4)
  for name in late:
    np.testing.assert_array_equal(late[name], again[name])
  other = batches.training(seed=4, step=7, batch_size=4)
  assert (other["label_BR"][:, 0] != late["label_BR"][:, 0]).any()


def test_an_epoch_sees_every_example_once(batches):
  labels = np.concatenate(
    [
      batches.training(seed=0, step=step, batch_size=4)["label_BR"][:, 0]
      for step in range(10)
    ]
  )
  epochs = labels.reshape(4, 10)
  for epoch in epochs:
    assert sorted(epoch) == list(range(10))
  assert (epochs[0] != epochs[1]).any()


def test_features_stay_with_their_label(batches):
  batch = batches.training(seed=1, step=2, batch_size=16)
  np.testing.assert_array_equal(
    batch["tokens_BS"][:, 1], 10 + batch["label_BR"][:, 0]
  )


def test_evaluation_sees_every_example_once_and_pads(batches):
  parts = list(batches.evaluation(4))
  for part in parts:
    check_batch(part, TASK.features)
  weights = np.concatenate([part["weight_BR"][:, 0] for part in parts])
  labels = np.concatenate([part["label_BR"][:, 0] for part in parts])
  assert weights.tolist() == [1] * 10 + [0] * 2
  assert labels[:10].tolist() == list(range(10))
  assert not parts[-1]["packs_BS"][2:].any()


def test_a_split_without_examples_is_refused():
  rows = encode_texts(NumberTokenizer(), [], None, 4).features
  with pytest.raises(ValueError, match="without examples"):
    TaskBatches(rows, make_targets(np.zeros(0)))


def test_the_hash_is_of_features_and_labels():
  labels_N = np.arange(3, dtype=np.int32)
  make = lambda texts, labels_N: TaskBatches(
    encode_texts(NumberTokenizer(), texts, None, 4).features,
    make_targets(labels_N),
  ).sha256()
  first = make(["10", "11", "12"], labels_N)
  assert make(["10", "11", "12"], labels_N) == first
  assert make(["10", "11", "13"], labels_N) != first
  assert make(["10", "11", "12"], labels_N[::-1]) != first


def test_the_hash_is_that_of_stored_results():
  # Written out once: the identities of older runs have it.
  rows = encode_texts(NumberTokenizer(), ["10", "11"], None, 4).features
  hashed = TaskBatches(rows, make_targets(np.asarray([1, 0]))).sha256()
  assert hashed == EXPECTED


def test_a_weight_that_is_not_1_is_hashed():
  rows = encode_texts(NumberTokenizer(), ["10", "11"], None, 4).features
  targets = make_targets(np.asarray([1, 0]))
  whole = TaskBatches(rows, targets).sha256()
  targets["weight_BR"][1] = 0
  assert TaskBatches(rows, targets).sha256() != whole


def test_any_target_record_is_batched_and_padded():
  rows = encode_texts(NumberTokenizer(), ["10", "11", "12"], None, 4).features
  label_BS = rows["tokens_BS"] + 1
  batches = TaskBatches(rows, {"label_BS": label_BS, "weight_BS": label_BS > 0})
  *_, last = batches.evaluation(2)
  np.testing.assert_array_equal(last["label_BS"], [label_BS[2], [0] * 4])
  assert not last["weight_BS"][1].any()
  assert batches.sha256()


def test_order_is_a_permutation_of_its_key_alone():
  first = order(1000, 3, 5)
  assert sorted(first) == list(range(1000))
  assert (order(1000, 3, 5) == first).all()
  assert (order(1000, 3, 6) != first).any()
  # Written out once: another numpy may not draw another order.
  assert order(8, 1, 2).tolist() == [4, 2, 0, 6, 1, 5, 7, 3]
