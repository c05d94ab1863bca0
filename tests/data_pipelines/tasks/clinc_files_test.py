# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from data_pipelines.tasks.clinc_files import read_tables

LISTS = {
  "oos_val": [["who won", "oos"]],
  "val": [["hola", "translate"], ["pay it", "pay"]],
  "train": [["say hi", "translate"], ["pay now", "pay "]],
  "oos_test": [["why", "oos"], ["how", "oos"]],
  "test": [["bonjour", "translate"]],
  "oos_train": [["what dow", "oos"]],
}


def write(tmp_path, lists, name="data_full.json"):
  path = tmp_path / name
  path.write_text(lists if isinstance(lists, str) else json.dumps(lists))
  return path


def test_texts_out_of_scope_are_a_class_of_each_split(tmp_path):
  path = write(tmp_path, LISTS)
  tables = read_tables(str(path))
  assert tables["train"].labels == ("translate", "pay", "oos")
  assert tables["dev"].texts == ("hola", "pay it", "who won")
  assert tables["test"].labels == ("translate", "oos", "oos")
  assert tables["dev"].path == f"{path}:val+oos_val"
  assert read_tables(str(tmp_path)) == tables


def test_a_file_may_have_no_texts_out_of_scope(tmp_path):
  lists = {n: each for n, each in LISTS.items() if not n.startswith("oos")}
  tables = read_tables(str(write(tmp_path, lists, "data_small.json")))
  assert tables["test"].labels == ("translate",)
  assert read_tables(str(tmp_path)) == tables


@pytest.mark.parametrize(
  ("item", "words"),
  [
    (["only"], r"oos_val\[1\] is not \[text, intent\]"),
    (["a", None], r"oos_val\[1\] is not"),
    ([" ", "pay"], r"oos_val\[1\] has no text"),
    (["a", ""], r"oos_val\[1\] has no intent"),
  ],
)
def test_a_bad_item_is_named_or_counted(tmp_path, item, words):
  lists = LISTS | {"oos_val": [*LISTS["oos_val"], item, ["when", "oos"]]}
  path = str(write(tmp_path, lists))
  with pytest.raises(ValueError, match=words):
    read_tables(path)
  dev = read_tables(path, skip_bad_rows=True)["dev"]
  assert len(dev.skipped) == 1
  assert dev.lines == (0, 1, 2, 4)


@pytest.mark.parametrize(
  ("lists", "words"),
  [
    ("{", "is not JSON"),
    ([], "has no names; a file of CLINC150 has the lists train, val, test"),
    ({"train": []}, "has train; a file of CLINC150"),
    (LISTS | {"val": {}}, "val is an object; give a list"),
    (LISTS | {"test": [], "oos_test": []}, r"test\+oos_test has no items"),
  ],
)
def test_another_file_is_refused(tmp_path, lists, words):
  with pytest.raises(ValueError, match=words):
    read_tables(str(write(tmp_path, lists)))


def test_a_folder_needs_the_file(tmp_path):
  with pytest.raises(ValueError, match=r"its .json files: none"):
    read_tables(str(tmp_path))
  write(tmp_path, LISTS, "a.json")
  write(tmp_path, LISTS, "b.json")
  with pytest.raises(ValueError, match=r"no data_full.json .*a.json, b.json"):
    read_tables(str(tmp_path))
  with pytest.raises(ValueError, match=r"'nowhere' is not there"):
    read_tables("nowhere")


def test_the_published_file_is_read(real_data):
  tables = read_tables(str(real_data / "clinc150"))
  rows = {split: len(table.texts) for split, table in tables.items()}
  assert rows == {"train": 15_100, "dev": 3_100, "test": 5_500}
  for table in tables.values():
    assert len({*(table.labels or ())}) == 151
