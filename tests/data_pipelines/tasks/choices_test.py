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


LONG = ("v", "10 11", "", "20 21 22 23 24 25 26", "30", "", "", "0")


def read_long(path, *, seq_length=9, **fields):
  return choices.read(
    config_of(path, dev=path, **{"long_texts": "mean", "stride": 2, **fields}),
    NumberTokenizer(),
    RowOptions(seq_length),
  )


def test_a_long_choice_has_windows(tmp_path):
  """A row of 9 has 4 tokens of a choice beside the context and 3 others."""
  path = write(tmp_path / "a.csv", LONG, row(endings="1 2 3 4"))
  data = read_long(path)
  figures = data.figures.splits["train"]
  assert (figures.examples, figures.cut, figures.windows) == (2, 0, 3 + 1 + 4)
  assert data.settings == {"stride": 2, "pool_max": 0.0}
  (batch,) = data.splits["dev"].evaluation(12)
  found = {
    name: batch.arrays[name][batch.window_BR >= 0]
    for name in ("first_BR", "label_BR", "weight_BR")
  }
  order = np.argsort(batch.window_BR[batch.window_BR >= 0])
  marks = [1, -1, -1, 0, 1, 0, 0, 0]
  assert found["first_BR"][order].tolist() == marks
  assert found["label_BR"][order].tolist() == [1, 0, 0, 0, 0, 0, 1, 0]
  assert (found["weight_BR"] == 1).all()
  tokens_BS = batch.arrays["tokens_BS"]
  assert {20, 21, 22, 23, 24, 25, 26} <= set(tokens_BS.ravel().tolist())


def test_all_windows_of_a_training_example_stand_in_one_row(tmp_path):
  many = ("v", "10 11", "", *[LONG[3]] * 3, "30", "3")
  path = write(tmp_path / "a.csv", many, *[row()] * 5)
  data = read_long(path)
  train, dev = data.splits["train"], data.splits["dev"]
  assert (train.num_drawn, train.num_windows) == (6, 10 + 5 * 4)
  batch = train.training(seed=0, step=0, batch_size=6)
  assert batch["tokens_BS"].shape == (6, 10 * 9)
  assert (batch["first_BR"] == 1).sum(axis=1).tolist() == [1] * 6
  assert (batch["label_BR"] * batch["weight_BR"]).sum() == 6
  # Nothing is compared before all outputs of dev are known.
  assert (dev.num_drawn, dev.num_windows) == (30, 30)


def test_short_choices_are_the_same_data_cut_or_in_windows(tmp_path):
  path = write(
    tmp_path / "a.csv", *[row(context=str(20 + n)) for n in range(9)]
  )
  divided, cut = (
    read_long(path, **fields).splits
    for fields in ({}, {"long_texts": "cut", "stride": 64})
  )
  for name, batches in divided.items():
    assert batches.sha256() == cut[name].sha256()
    for found, wanted in zip(
      batches.evaluation(4), cut[name].evaluation(4), strict=True
    ):
      for array in wanted.arrays:
        np.testing.assert_array_equal(found.arrays[array], wanted.arrays[array])


def test_more_windows_than_a_row_has_is_one_line(tmp_path):
  long = " ".join(["20"] * 40)
  path = write(tmp_path / "a.csv", row(), ("v", "10", "", long, "3", "", "", 0))
  with pytest.raises(
    ValueError, match=r"a.csv:3: the choices have 37 windows, and 32 at most"
  ) as caught:
    read_long(path, stride=1)
  assert "\n" not in str(caught.value)
  assert "--config.task.long_texts=cut" in str(caught.value)
  short = write(tmp_path / "b.csv", row(), row())
  # Dev has no limit: its windows stand alone.
  data = choices.read(
    config_of(short, dev=path, long_texts="max", stride=1),
    NumberTokenizer(),
    RowOptions(9),
  )
  assert data.splits["dev"].num_windows == 4 + 37
  assert data.splits["train"].num_drawn == 2
