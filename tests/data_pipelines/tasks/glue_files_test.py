# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""GLUE is read from its original files, and from the data sets that have it."""

import sys

import pytest

from data_pipelines.tasks.glue_files import (
  find_folder,
  find_tests,
  read_tables,
  read_test,
)
from data_pipelines.tasks.glue_tasks import GLUE
from tests.testing import glue_folders, hub_datasets

LEARNED = [name for name, task in GLUE.items() if task.label]


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
  return glue_folders.make(tmp_path_factory.mktemp("glue"))


@pytest.mark.parametrize("name", LEARNED)
def test_a_task_is_read_from_its_folder_and_from_the_root(glue, name):
  task = GLUE[name]
  options = {"skip_bad_rows": name == "qqp"}
  tables = read_tables(name, str(glue / task.title), **options)
  assert tables == read_tables(name, str(glue), **options)
  assert list(tables) == ["train", "dev", *(["test"] if name == "mnli" else [])]
  for split, table in tables.items():
    assert len(table.texts) == 8
    # A quote that is never closed is a character.
    of_file = {"test": "dev_mismatched", "dev": "dev_matched"}
    side = of_file.get(split, split) if name == "mnli" else split
    assert table.texts[0].rstrip() == f'"good {side} 0'
    assert (table.pairs is not None) == bool(task.text_pair)
    if task.text_pair:
      assert table.pairs[0] == f"bad {side} 1"
    if task.labels:
      assert {*table.labels} == {*task.labels}
    else:
      assert table.labels[:3] == ("0.000", "0.950", "1.900")


def test_undecided_rows_of_mnli_are_counted(glue):
  dev = read_tables("mnli", str(glue))["dev"]
  assert len(dev.skipped) == 1
  assert "dev_matched.tsv:3 has the label '-'" in dev.skipped[0]


def test_a_row_of_qqp_without_all_fields_is_an_error_or_counted(glue):
  with pytest.raises(ValueError, match=r"train.tsv:2 has 4 fields.*6 columns"):
    read_tables("qqp", str(glue))
  train = read_tables("qqp", str(glue), skip_bad_rows=True)["train"]
  assert "train.tsv:2 has 4 fields" in train.skipped[0]


@pytest.mark.parametrize(
  ("name", "row", "words"),
  [
    ("stsb", "9\tm\tf\t2012\t1\tn\tn\ta\tb\t5.5", r":10 has the score 5.5"),
    ("stsb", "9\tm\tf\t2012\t1\tn\tn\ta\tb\tgood", r"label 'good'; .*0 to 5"),
    ("rte", "9\ta\tb\tneutral", r"'neutral'; give one of entailment, not_ent"),
    ("rte", "9\ta\tb\t", r":10 is empty in the label column 'label'"),
    ("rte", "9\t\tb\tentailment", r":10 has no text in the column 'sentence1'"),
    ("cola", "gj04\t1\tOne.", r"train.tsv:9 has 3 fields"),
  ],
)
def test_a_bad_row_is_one_line_with_its_place(tmp_path, name, row, words):
  folder = glue_folders.make(tmp_path) / GLUE[name].title
  with (folder / "train.tsv").open("a") as file:
    file.write(f"{row}\n")
  with pytest.raises(ValueError, match=words) as caught:
    read_tables(name, str(folder))
  assert "\n" not in str(caught.value)
  tables = read_tables(name, str(folder), skip_bad_rows=True)
  assert len(tables["train"].texts) == 8
  assert len(tables["train"].skipped) == 1


def test_mrpc_as_microsoft_distributes_it_is_split_by_its_list(tmp_path):
  glue_folders.write_msr(tmp_path / "MRPC", dev=(1, 6))
  tables = read_tables("mrpc", str(tmp_path))
  assert tables["dev"].texts == ("bad train 1", '"good train 6')
  assert tables["dev"].lines == (3, 8)
  assert len(tables["train"].texts) == 6
  assert tables["test"].texts[0] == '"good test 0'
  assert tables["test"].labels == ("0", "1") * 4
  tests = find_tests("mrpc", tmp_path / "MRPC")
  (path,) = tests.values()
  assert read_test(str(path), GLUE["mrpc"]).indices == tuple("01234567")


def test_mrpc_without_the_list_has_no_dev(tmp_path):
  glue_folders.write_msr(tmp_path, dev=())
  assert set(read_tables("mrpc", str(tmp_path))) == {"train", "test"}


def test_a_list_of_other_pairs_is_refused(tmp_path):
  glue_folders.write_msr(tmp_path, dev=(1, 60))
  with pytest.raises(ValueError, match=r"dev_ids.tsv has the pair 60 160"):
    read_tables("mrpc", str(tmp_path))


@pytest.mark.parametrize("name", GLUE)
def test_every_row_of_a_test_split_is_read(glue, name):
  task = GLUE[name]
  folder = find_folder(name, str(glue))
  assert folder
  tests = find_tests(name, folder)
  assert list(tests) == list(task.tests.values())
  for path in tests.values():
    found = read_test(str(path), task)
    rows = 9 if name == "qqp" else 8
    assert found.indices == tuple(map(str, range(rows)))
    assert len(found.texts) == rows
    assert found.texts[0].startswith('"good ')
    assert (found.pairs is not None) == bool(task.text_pair)


def test_a_bad_row_of_a_test_split_is_an_error(tmp_path):
  folder = glue_folders.make(tmp_path) / "RTE"
  test = folder / "test.tsv"
  whole = test.read_text()
  for row, words in (
    ("8\ta", r"test.tsv:10 has 2 fields.*needs a prediction"),
    ("3\ta\tb", r"test.tsv:10 has the index 3 of line 5"),
  ):
    test.write_text(f"{whole}{row}\n")
    with pytest.raises(ValueError, match=words):
      read_test(str(test), GLUE["rte"])


def test_folders_are_known_by_either_spelling(tmp_path):
  glue_folders.make(tmp_path)
  (tmp_path / "STS-B").rename(tmp_path / "sts_b")
  (tmp_path / "AX").rename(tmp_path / "diagnostic")
  assert find_folder("stsb", str(tmp_path)) == tmp_path / "sts_b"
  assert find_folder("ax", str(tmp_path)) == tmp_path / "diagnostic"
  # A folder without the task's files is none of its.
  (tmp_path / "RTE/train.tsv").unlink()
  assert find_folder("rte", str(tmp_path)) is None
  glue_folders.write(tmp_path / "cola/train.tsv", ["a\t1\t\tb"])
  with pytest.raises(ValueError, match=r"two folders of CoLA: CoLA and cola"):
    find_folder("cola", str(tmp_path))


@pytest.mark.parametrize(
  ("name", "words"),
  [
    ("rte", r"has no train.tsv of RTE; give task.folder"),
    ("mrpc", r"no train.tsv and no msr_paraphrase_train.txt of MRPC"),
    ("ax", r"no labels to learn from: the model of MNLI"),
  ],
)
def test_a_task_without_files_is_one_line(tmp_path, name, words):
  with pytest.raises(ValueError, match=words):
    read_tables(name, str(tmp_path))
  with pytest.raises(ValueError, match=r"'nowhere' is not a folder"):
    read_tables("rte", "nowhere")


def test_a_data_set_of_the_hub_has_labels_of_the_files(tmp_path, monkeypatch):
  pa = pytest.importorskip("pyarrow")
  file = tmp_path / "glue.arrow"
  file.write_bytes(bytes(10))
  columns = {
    "sentence1": ["a", "b"],
    "sentence2": ["c", "d"],
    "label": [1, 0],
    "idx": [0, 1],
  }
  splits = {name: pa.table(columns) for name in ("train", "validation")}
  names = {"label": ["not_equivalent", "equivalent"]}
  module = hub_datasets.package("glue", splits, str(file), names)
  monkeypatch.setitem(sys.modules, "datasets", module)
  tables = read_tables("mrpc", "hf:glue:en")
  assert tables["train"].labels == ("1", "0")
  assert tables["dev"].pairs == ("c", "d")


def test_the_original_files_are_read(real_data):
  rows = {
    name: {split: len(table.texts) for split, table in tables.items()}
    for name in ("cola", "rte", "stsb")
    for tables in (read_tables(name, str(real_data)),)
  }
  assert rows == {
    "cola": {"train": 8551, "dev": 527},
    "rte": {"train": 2490, "dev": 277},
    "stsb": {"train": 5749, "dev": 1500},
  }
