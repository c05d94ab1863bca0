# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from bertjax.batch import (
  CLASSIFICATION_FEATURES,
  ENCODER_FEATURES,
  check_batch,
)
from data_pipelines.tasks.features import TaskBatches, encode_texts, fit

PAD, CLS, SEP = 3, 1, 2


class Words:
  """A tokenizer whose ids are the numbers in the text."""

  pad_id, cls_id, sep_id = PAD, CLS, SEP

  def encode(self, texts):
    return [np.asarray(text.split(), np.int32) for text in texts]


def test_a_single_text_is_a_classic_row():
  rows = encode_texts(Words(), ["10 11 12", "10 11 12 13 14 15", ""], None, 7)
  check_batch(rows, ENCODER_FEATURES)
  assert rows["tokens_BS"].tolist() == [
    [CLS, 10, 11, 12, SEP, PAD, PAD],
    [CLS, 10, 11, 12, 13, 14, SEP],
    [CLS, SEP, PAD, PAD, PAD, PAD, PAD],
  ]
  assert rows["positions_BS"].tolist()[0] == [0, 1, 2, 3, 4, 0, 0]
  assert rows["packs_BS"].tolist()[0] == [1, 1, 1, 1, 1, 0, 0]
  assert not rows["types_BS"].any()
  assert not rows["starts_BR"].any()


def test_a_pair_has_types():
  rows = encode_texts(Words(), ["10"], ["20 21"], 8)
  assert rows["tokens_BS"].tolist() == [[CLS, 10, SEP, 20, 21, SEP, PAD, PAD]]
  assert rows["types_BS"].tolist() == [[0, 0, 0, 1, 1, 1, 0, 0]]


def test_fit_drops_from_the_longer_text_piece_by_piece():
  for size_a in range(12):
    for size_b in range(12):
      for budget in range(2, 14):
        a, b = size_a, size_b
        while a + b > budget:
          if a > b:
            a -= 1
          else:
            b -= 1
        assert fit(size_a, size_b, budget) == (a, b)


@pytest.mark.parametrize(("pairs", "length"), [(None, 2), (["1"], 4)])
def test_a_length_without_room_is_refused(pairs, length):
  with pytest.raises(ValueError, match=f"seq_length={length} leaves no room"):
    encode_texts(Words(), ["1"], pairs, length)
  encode_texts(Words(), ["1"], pairs, length + 1)


def test_pairs_of_another_number_are_refused():
  with pytest.raises(ValueError, match="2 texts have 1 pairs"):
    encode_texts(Words(), ["1", "2"], ["1"], 9)


@pytest.fixture
def batches():
  rows = encode_texts(Words(), [str(10 + i) for i in range(10)], None, 4)
  return TaskBatches(rows, np.arange(10, dtype=np.int32))


def test_training_batches_are_pure_in_seed_and_step(batches):
  late = batches.training(seed=3, step=7, batch_size=4)
  check_batch(late, CLASSIFICATION_FEATURES)
  for step in range(9):
    batches.training(seed=4, step=step, batch_size=4)
  again = batches.training(seed=3, step=7, batch_size=4)
  for name in late:
    np.testing.assert_array_equal(late[name], again[name])
  other = batches.training(seed=4, step=7, batch_size=4)
  assert (other["label_B"] != late["label_B"]).any()


def test_an_epoch_sees_every_example_once(batches):
  labels = np.concatenate(
    [
      batches.training(seed=0, step=step, batch_size=4)["label_B"]
      for step in range(10)
    ]
  )
  epochs = labels.reshape(4, 10)
  for epoch in epochs:
    assert sorted(epoch) == list(range(10))
  assert (epochs[0] != epochs[1]).any()


def test_features_stay_with_their_label(batches):
  batch = batches.training(seed=1, step=2, batch_size=16)
  np.testing.assert_array_equal(batch["tokens_BS"][:, 1], 10 + batch["label_B"])


def test_evaluation_sees_every_example_once_and_pads(batches):
  parts = list(batches.evaluation(4))
  for part in parts:
    check_batch(part, CLASSIFICATION_FEATURES)
  weights = np.concatenate([part["weight_B"] for part in parts])
  labels = np.concatenate([part["label_B"] for part in parts])
  assert weights.tolist() == [1] * 10 + [0] * 2
  assert labels[:10].tolist() == list(range(10))
  assert not parts[-1]["packs_BS"][2:].any()


def test_a_split_without_examples_is_refused():
  rows = encode_texts(Words(), [], None, 4)
  with pytest.raises(ValueError, match="without examples"):
    TaskBatches(rows, np.zeros(0, np.int32))


def test_the_hash_is_of_features_and_labels():
  labels_N = np.arange(3, dtype=np.int32)
  make = lambda texts, labels_N: TaskBatches(
    encode_texts(Words(), texts, None, 4), labels_N
  ).sha256()
  first = make(["10", "11", "12"], labels_N)
  assert make(["10", "11", "12"], labels_N) == first
  assert make(["10", "11", "13"], labels_N) != first
  assert make(["10", "11", "12"], labels_N[::-1]) != first
