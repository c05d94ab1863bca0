# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import json

import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks import choices
from data_pipelines.tasks.batches import RowOptions
from tests.testing.number_tokenizer import NumberTokenizer

ENDINGS = tuple(f"ending{number}" for number in range(4))
# The columns of SWAG's files that count, and one that does not.
HEADER = ("video-id", "sent1", "sent2", *ENDINGS, "label")


def write(path, *rows, header=HEADER):
  with path.open("w", newline="") as file:
    csv.writer(file).writerows([header, *rows])
  return str(path)


def row(context="10 11", start="12", endings="1 2 3 4", label="2"):
  return ("v", context, start, *endings.split(" "), label)


def config_of(train, **fields):
  given = {
    "text": "sent1",
    "text_pair": "sent2",
    "choices": ",".join(ENDINGS),
    "test_rate": 0.0,
    **fields,
  }
  return TaskConfig(kind="table", target="choice", train=train, **given)


def read_all(path, **fields):
  return choices.read_questions(path, config_of(path, **fields)).questions


def test_rows_of_swag_are_questions(tmp_path):
  path = write(tmp_path / "a.csv", row(), row(label="ending0"))
  first, second = read_all(path)
  assert first == ("10 11", ("12 1", "12 2", "12 3", "12 4"), 2)
  assert second.right == 0


def test_an_empty_cell_is_a_choice_that_the_row_lacks(tmp_path):
  fields = ("v", "10", "", "1", "", "3", "", "2")
  (question,) = read_all(write(tmp_path / "a.csv", fields))
  assert question == ("10", ("1", "3"), 1)


def test_a_column_may_have_lists_of_choices(tmp_path):
  path = tmp_path / "a.jsonl"
  rows = [
    {"text": "10", "options": ["1", "2", "3"], "label": 1},
    {"text": "11", "options": ["1", "2"], "label": "0"},
  ]
  path.write_text("\n".join(map(json.dumps, rows)))
  fields = {"text": "text", "text_pair": "", "choices": "options"}
  first, second = read_all(str(path), **fields)
  assert (first.choices, first.right) == (("1", "2", "3"), 1)
  assert (second.choices, second.right) == (("1", "2"), 0)
  with pytest.raises(
    ValueError, match=r"jsonl:1 has 3 choices, and task.num_choices is 2; give"
  ):
    read_all(str(path), **fields, num_choices=2)


@pytest.mark.parametrize(
  ("bad", "words"),
  [
    (row(label="4"), "has '4' in the column 'label'; give the number"),
    (row(label="x"), "0 to 3, or the name of its column"),
    (row(label=""), "has no right choice in the column 'label'"),
    (row(context=" "), "has no text in the column 'sent1'"),
    (("v", "10", "", "1", "", "", "", "0"), "has 1 choices; give two or more"),
    (("v", "10", "", "1", "", "3", "", "1"), "right choice 1, which is empty"),
  ],
)
def test_a_bad_row_is_one_line_or_left_out(tmp_path, bad, words):
  path = write(tmp_path / "a.csv", row(), bad)
  with pytest.raises(ValueError, match=r"a.csv:3 has") as caught:
    read_all(path)
  assert words in str(caught.value)
  assert "\n" not in str(caught.value)
  found = choices.read_questions(path, config_of(path, skip_bad_rows=True))
  assert len(found.questions) == 1
  assert words in found.skipped[0]


def test_more_choices_than_configured_is_one_line(tmp_path):
  path = write(tmp_path / "a.csv", row())
  with pytest.raises(
    ValueError, match=r"names 4 columns, and task.num_choices is 3; give --con"
  ):
    read_all(path, num_choices=3)
  with pytest.raises(ValueError, match="choices=''; give the columns"):
    read_all(path, choices="")


def test_a_test_table_may_have_no_right_choices(tmp_path):
  path = write(
    tmp_path / "a.csv", *[row(context=str(20 + n)) for n in range(9)]
  )
  test = write(tmp_path / "test.csv", row(label=""))
  data = choices.read(
    config_of(path, test=test, test_rate=0.2), NumberTokenizer(), RowOptions(9)
  )
  assert [*data.splits] == ["train", "dev"]
  assert "has no right choices" in data.figures.table.unscored_test


def test_an_example_is_cut_once_whatever_its_choices(tmp_path):
  rows = [row(), row(context=" ".join(["10"] * 9))]
  path = write(tmp_path / "a.csv", *rows)
  config = config_of(path, dev=path)
  data = choices.read(config, NumberTokenizer(), RowOptions(9))
  figures = data.figures.splits["dev"]
  assert (figures.examples, figures.cut, figures.empty) == (2, 1, 0)


def test_choices_of_an_example_stand_in_one_row(tmp_path):
  rows = [row(context=str(20 + n), label=str(n % 4)) for n in range(12)]
  rows[3] = ("v", "13", "", "1", "", "", "4", "3")
  path = write(tmp_path / "a.csv", *rows)
  config = config_of(path, dev=path)
  data = choices.read(config, NumberTokenizer(), RowOptions(8))
  dev = data.splits["dev"]
  assert (len(dev), dev.num_drawn, dev.num_windows) == (12, 12, 4 * 12 - 2)
  assert data.figures.splits["dev"].shared == 12
  (batch,) = dev.evaluation(12)
  assert batch.arrays["tokens_BS"].shape[1] == 4 * 8
  owner_BR = np.where(
    batch.window_BR < 0, -1, np.asarray(dev.owners_N)[batch.window_BR]
  )
  for owner in range(12):
    assert (owner_BR == owner).any(axis=1).sum() == 1
  right_BR = batch.arrays["label_BR"] * batch.arrays["weight_BR"]
  assert right_BR.sum() == batch.arrays["first_BR"].sum() == 12
  # The right choice of the row that lacks two is its second one.
  assert data.splits["dev"].examples[3].choices == ("1", "4")


def test_one_table_is_read_for_a_model(tmp_path):
  path = write(tmp_path / "a.csv", row(), row(context="11"))
  config = config_of("gone", test=path)
  data = choices.read(config, NumberTokenizer(), RowOptions(9, labels=()))
  assert [*data.splits] == [*data.figures.splits] == ["test"]
  unlabeled = write(tmp_path / "b.csv", row(label=""))
  config = dataclasses.replace(config, test=unlabeled)
  with pytest.raises(ValueError, match="has no right choice"):
    choices.read(config, NumberTokenizer(), RowOptions(9, labels=()))
