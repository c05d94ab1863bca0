# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

from bertjax.batch import Shape, check_batch
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
  parts = [part.arrays for part in batches.evaluation(4)]
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
  np.testing.assert_array_equal(
    last.arrays["label_BS"], [[*label_BS[2, :3], 0], [0] * 4]
  )
  assert not last.arrays["weight_BS"][1].any()
  assert batches.sha256()


def test_order_is_a_permutation_of_its_key_alone():
  first = order(1000, 3, 5)
  assert sorted(first) == list(range(1000))
  assert (order(1000, 3, 5) == first).all()
  assert (order(1000, 3, 6) != first).any()
  # Written out once: another numpy may not draw another order.
  assert order(8, 1, 2).tolist() == [4, 2, 0, 6, 1, 5, 7, 3]


@pytest.fixture
def packed():
  """Ten windows of three to five tokens, and their labels."""
  texts = [" ".join([str(10 + i)] * (1 + i % 3)) for i in range(10)]
  rows = encode_texts(NumberTokenizer(), texts, None, 16).features
  return TaskBatches(rows, make_targets(np.arange(10)), pack=True)


def windows_of(batch):
  """{label: its tokens} of a batch; a label that occurs twice is an error."""
  found = {}
  for row, pack in np.argwhere(batch["weight_BR"] > 0):
    here = batch["packs_BS"][row] == pack + 1
    assert batch["starts_BR"][row, pack] == here.argmax()
    label = int(batch["label_BR"][row, pack])
    assert label not in found
    found[label] = batch["tokens_BS"][row, here].tolist()
  return found


def shapes_of(packed, **changes):
  """Shapes of 20 steps of three seeds; compiling is free."""
  settings: dict[str, Any] = {"batch_size": 5, "seeds": range(3), "steps": 20}
  settings |= {"multiple": 1, "compile_rows": 0}
  return packed.shapes(**settings | changes)


def test_packed_batches_have_the_windows_of_unpacked_ones(packed):
  shapes = shapes_of(packed, multiple=2)
  assert all(shape.rows % 2 == 0 and shape.rows < 5 for shape in shapes)
  for seed, step in ((0, 0), (1, 7), (2, 19)):
    choice = {"seed": seed, "step": step, "batch_size": 5}
    for given in (shapes, shapes[-1:]):
      batch = packed.training(**choice, shapes=given)
      check_batch(batch, TASK.features)
      assert batch["label_BR"].shape in {shape[:2] for shape in given}
      assert windows_of(batch) == windows_of(packed.training(**choice))


def test_a_batch_has_the_smallest_shape_that_holds_it():
  """Batches of windows of 3 to 14 tokens differ in the rows that they need."""
  texts = [" ".join(["7"] * (1 + i % 12)) for i in range(60)]
  rows = encode_texts(NumberTokenizer(), texts, None, 16).features
  data = TaskBatches(rows, make_targets(np.arange(60)), pack=True)
  shapes = shapes_of(data, batch_size=12)
  sizes = [shape.rows for shape in shapes]
  assert 2 <= len(sizes) <= 4
  assert sizes == sorted(set(sizes))
  seen = set()
  for step in range(20):
    choice: dict[str, Any] = {"seed": 1, "step": step, "batch_size": 12}
    needed = int(
      np.ceil(np.count_nonzero(data.training(**choice)["packs_BS"]) / 16)
    )
    found = len(data.training(**choice, shapes=shapes)["packs_BS"])
    seen.add(found)
    assert found in sizes
    # Rows are not full to the last position.
    smaller = [size for size in sizes if size < found]
    assert not smaller or smaller[-1] <= needed
  assert len(seen) > 1
  (only,) = shapes_of(data, batch_size=12, compile_rows=1000)
  assert only.rows == sizes[-1]


def test_a_batch_that_needs_more_rows_than_planned_gets_them(packed):
  choice = {"seed": 0, "step": 0, "batch_size": 10}
  batch = packed.training(**choice, shapes=[Shape(1, 1)])
  assert len(windows_of(batch)) == 10
  (needed,) = shapes_of(packed, batch_size=10, seeds=[0], steps=1)
  assert len(batch["packs_BS"]) == needed.rows


def test_evaluation_of_packed_windows_says_which_window_stands_where(packed):
  parts = list(packed.evaluation(3, 1))
  assert len({part.arrays["packs_BS"].shape for part in parts}) == 1
  seen = {}
  for part in parts:
    seen |= windows_of(part.arrays)
    is_real_BR = part.arrays["weight_BR"] > 0
    np.testing.assert_array_equal(
      part.window_BR, np.where(is_real_BR, part.arrays["label_BR"], -1)
    )
  assert sorted(seen) == list(range(10))


def test_few_windows_do_not_make_a_batch_of_padding(packed):
  (part,) = packed.evaluation(128, 4)
  assert len(part.arrays["packs_BS"]) == 4


def test_windows_of_one_example_are_counted_once():
  rows = encode_texts(NumberTokenizer(), ["10", "11", "12"], None, 4).features
  targets = make_targets(np.arange(3))
  batches = TaskBatches(rows, targets, owners_N=np.asarray([0, 0, 1]))
  assert len(batches) == 2
  assert batches.num_windows == 3


def test_shapes_grow_in_steps_of_an_eighth():
  shape = Shape(64, 4, multiple=4)
  assert shape.enlarged(60) == shape
  assert shape.enlarged(65).rows == 72
  assert shape.enlarged(80).rows == 80
  assert Shape(4, 1, multiple=4).enlarged(5).rows == 8


def test_what_scores_depend_on_is_hashed():
  rows = encode_texts(NumberTokenizer(), ["10"], None, 4).features
  one, other = (
    TaskBatches(rows, make_targets(np.zeros(1)), identity=[answer]).sha256()
    for answer in ("a", "b")
  )
  assert one != other
