# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from data_pipelines.tasks.splits import (
  count_contradicting,
  count_shared,
  data_name,
  hold_out,
  subsample,
  text_keys,
)


@pytest.mark.parametrize(
  ("train", "name"),
  [
    ("data/banking77/train.csv", "banking77"),
    ("squad/train-v1.1.json", "squad"),
    ("data/train_tickets/tickets.csv", "tickets"),
    ("data/trains.csv", "trains"),
    ("train.csv", "train"),
    ("tfds:glue/rte:train", "rte"),
    ("hf:nyu-mll/glue:cola:train", "glue:cola"),
  ],
)
def test_data_are_called_by_what_they_are_and_not_by_their_split(train, name):
  assert data_name(train) == name


def test_copies_differ_by_case_white_space_and_order_only():
  one, same, other = text_keys(["A  text\n", "a Text", "a text."], None)
  assert one == same != other
  first, turned, third = text_keys(["a", "B ", "a"], ["b", "A", "c"])
  assert first == turned != third


def test_all_copies_of_a_text_are_on_one_side():
  texts = [f"text {i % 40}" for i in range(200)]
  labels_N = np.arange(200) % 40 % 3
  keys = text_keys(texts, None)
  kept, held = hold_out(labels_N, keys, 0.2, seed=3)
  assert sorted((*kept, *held)) == list(range(200))
  assert len(held) == 5 * (3 + 3 + 3)  # of 14, 13 and 13 texts
  held_keys, kept_keys = ([keys[i] for i in side] for side in (held, kept))
  assert count_shared(held_keys, kept_keys) == 0
  assert set(labels_N[held]) == set(labels_N[kept]) == {0, 1, 2}


def test_a_text_with_two_labels_is_on_one_side():
  keys = text_keys([f"text {i % 5}" for i in range(100)], None)
  labels_N = np.arange(100) % 2
  kept, held = hold_out(labels_N, keys, 0.2, seed=0)
  assert {keys[i] for i in kept}.isdisjoint(keys[i] for i in held)
  assert count_contradicting(keys, labels_N) == 100
  assert count_contradicting(keys, np.arange(100) % 5) == 0


def test_without_copies_the_choice_is_that_of_stored_results():
  # Written out once: the identities of older runs have it.
  keys = text_keys([f"text {i}" for i in range(20)], None)
  _, held = hold_out(np.arange(20) % 2, keys, 0.3, seed=1)
  assert held.tolist() == [1, 4, 6, 10, 11, 13]


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
