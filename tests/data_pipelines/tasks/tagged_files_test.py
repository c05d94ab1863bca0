# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks.tagged_files import load_sentences, read_file
from tests.testing import hub_rows

CONFIG = TaskConfig(kind="conll", tag_column=1, words="w", tags="t")


def rows(path, *sentences):
  return hub_rows.write(path, *sentences, words="w", tags="t")


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a", "a.JSONL"])
def test_the_name_of_a_file_says_what_form_it_has(tmp_path, name):
  path = tmp_path / name
  path.write_text("cod B-fish 3\n")
  if name == "a.JSONL":
    rows(path, [("cod", "B-fish")])
  (sentence,) = read_file(str(path), CONFIG).examples
  assert sentence == (("cod",), ("B-fish",), f"{path}:1")


def test_columns_and_rows_are_splits_of_one_task(tmp_path):
  dev = tmp_path / "dev.conll"
  dev.write_text("elm B-tree\n\ncod S-fish\n")
  config = dataclasses.replace(
    CONFIG,
    train=rows(tmp_path / "train.jsonl", [("a", "O"), ("elm", "B-tree")]),
    dev=str(dev),
    test_rate=0.0,
  )
  loaded, labels = load_sentences(config, None)
  assert labels == ("B-tree", "O")
  assert [len(loaded.examples[name]) for name in ("train", "dev")] == [1, 2]
  skipping = dataclasses.replace(config, skip_bad_rows=True)
  loaded, _ = load_sentences(skipping, None)
  assert len(loaded.examples["dev"]) == 1
  assert loaded.figures.rows == 3
  (skipped,) = loaded.figures.skipped
  assert skipped.startswith(f"{dev}:3: a word has the tag 'S-fish'")
