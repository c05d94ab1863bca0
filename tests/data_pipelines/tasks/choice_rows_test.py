# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from data_pipelines.tasks import choice_rows
from data_pipelines.tasks.table_files import BadRow, Row
from tests.testing.number_tokenizer import NumberTokenizer


def test_names_have_commas_between_them():
  assert choice_rows.split_names("a, b") == ("a", "b")
  assert choice_rows.split_names("") == choice_rows.split_names("a,") == ()


def test_a_choice_that_a_row_lacks_keeps_its_place():
  row = Row(
    4, {"a": "1", "b": None, "c": " ", "d": "2", "list": ["1", "", "3"]}
  )
  choices = choice_rows.list_choices(row, ("a", "b", "c", "d"))
  assert choices == ("1", "", " ", "2")
  assert not isinstance(choices, BadRow)
  assert choice_rows.given_choices(choices) == [0, 3]
  assert choice_rows.list_choices(row, ("list",)) == ("1", "", "3")
  bad = choice_rows.list_choices(Row(4, {"list": ["1", 2]}), ("list",))
  assert bad == BadRow(4, "has a number for a text; give a string")


def test_choices_begin_with_the_start():
  assert choice_rows.join_start("12", ["1", "2"]) == ("12 1", "12 2")
  assert choice_rows.join_start("", ["1"]) == ("1",)


def test_examples_are_counted_and_not_choices():
  encoded = choice_rows.encode_choices(
    NumberTokenizer(), ["10 " * 9, "11", ""], [["1", "2"], ["3"], ["4", "5"]], 8
  )
  assert encoded.owner_N.tolist() == [0, 0, 1, 2, 2]
  assert (encoded.cut, encoded.empty) == (1, 1)


def test_further_windows_of_a_choice_are_marked():
  long = " ".join(["10"] * 5)
  encoded = choice_rows.encode_choices(
    NumberTokenizer(), ["11", "12"], [[long, "2"], ["3", long]], 7, 2
  )
  assert encoded.owner_N.tolist() == [0, 0, 0, 1, 1, 1]
  assert encoded.text_N.tolist() == [0, 0, 1, 2, 3, 3]
  assert encoded.cut == 0
  marks = choice_rows.mark_first(encoded)[:, 0].tolist()
  assert marks == [1, -1, 0, 1, 0, -1]
