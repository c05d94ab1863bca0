# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks.file_splits import ExampleFile, load_splits


def read(path):
  count, skipped = {"train": (40, ("train:3 bad",)), "dev": (2, ())}[path]
  return ExampleFile([f"{path} {n // 2}" for n in range(count)], skipped)


def load(**fields):
  config = TaskConfig(kind="conll", train="train", **fields)
  return load_splits(config, read, lambda example: example)


def test_what_has_no_file_is_held_out_of_train():
  splits, figures = load(dev_rate=0.1, test_rate=0.2)
  assert {name: len(each) for name, each in splits.items()} == {
    "train": 28,
    "test": 8,
    "dev": 4,
  }
  every = [each for split in splits.values() for each in split]
  assert sorted(every) == sorted(read("train").examples)
  # Both copies of an example are on one side.
  assert not {*splits["train"]} & {*splits["dev"], *splits["test"]}
  assert (figures.rows, figures.skipped) == (41, ("train:3 bad",))
  assert load(dev_rate=0.1, test_rate=0.2).examples == splits
  assert load(dev_rate=0.1, test_rate=0.2, seed=1).examples != splits


def test_a_file_stays_whole_and_no_test_is_told():
  splits, figures = load(dev="dev", test_rate=0.0)
  assert {*splits} == {"train", "dev"}
  assert len(splits["train"]) == 40
  assert figures.unscored_test == "task.test_rate is 0"


def test_too_little_is_refused():
  with pytest.raises(ValueError, match=r"task\.train is empty; give the path"):
    load_splits(TaskConfig(kind="conll"), read, str)
  config = TaskConfig(kind="conll", train="train", test_rate=0.0)
  with pytest.raises(ValueError, match="train is one text, so no dev can be"):
    load_splits(config, read, lambda _: 0)
