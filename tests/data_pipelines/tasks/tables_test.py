# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks.classification import hold_out, order, subsample
from data_pipelines.tasks.tables import Columns, read_table
from data_pipelines.tasks.tabular import load_task

COLUMNS = Columns(text="text", label="category")
CSV = 'text,category\n"a, b",x\n"two\nlines",y\nlast,x\n'


def write(tmp_path, name, text):
  path = tmp_path / name
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  return str(path)


def message(path, columns=COLUMNS):
  with pytest.raises(ValueError, match=r"\S") as caught:
    read_table(path, columns)
  assert "\n" not in str(caught.value)
  return str(caught.value)


def test_the_three_formats_say_the_same(tmp_path):
  rows = [("one, two", "x"), ('she said "no"', "y"), ("três", "x")]
  csv = "category,other,text\n" + "".join(
    f'{label},0,"{text.replace(chr(34), chr(34) * 2)}"\n'
    for text, label in rows
  )
  tsv = "text\tcategory\r\n" + "".join(f"{t}\t{c}\r\n" for t, c in rows)
  lines = "\n\n".join(json.dumps({"text": t, "category": c}) for t, c in rows)
  tables = [
    read_table(write(tmp_path, name, text), COLUMNS)
    for name, text in [
      ("a.csv", "\ufeff" + csv),
      ("a.tsv", tsv),
      ("a.jsonl", lines),
    ]
  ]
  for table in tables:
    assert list(zip(table.texts, table.labels, strict=True)) == rows
    assert table.pairs is None


def test_rows_know_the_line_they_begin_on(tmp_path):
  table = read_table(write(tmp_path, "a.csv", CSV), COLUMNS)
  assert table.texts == ("a, b", "two\nlines", "last")
  assert table.lines == (2, 3, 5)


def test_a_header_may_be_given_and_pairs_are_read(tmp_path):
  path = write(tmp_path, "a.tsv", 'q1\t"quoted\tyes\n')
  columns = Columns("a", "c", "b", header=("a", "b", "c"))
  table = read_table(path, columns)
  assert table.texts == ("q1",)
  assert table.pairs == ('"quoted',)
  assert table.lines == (1,)


@pytest.mark.parametrize(
  ("name", "text", "words"),
  [
    ("a.csv", "", ["a.csv is empty"]),
    ("a.csv", "text,category\n", ["a.csv has no rows"]),
    ("a.jsonl", "\n", ["a.jsonl has no rows"]),
    ("a.csv", "text,label\na,b\n", ["'category'", "text, label"]),
    ("a.csv", "text,category,text\na,b,c\n", ["2 columns 'text'"]),
    ("a.csv", "text,category\na\n", [":2 has 1 fields", "text, category"]),
    ("a.csv", 'text,category\na,b\n"open,c\n', [":3", "not well-formed"]),
    ("a.csv", b"text,category\na,b\ncaf\xe9,b\n", [":3", "UTF-8", "0xe9"]),
    ("a.csv", b"\xef\xbb\xbftext\n\xff", [":2", "0xff"]),
    ("a.tsv", "text\tcategory\na\t \n", [":2", "label column 'category'"]),
    ("a.jsonl", '{"text": "a"}', [":1 has no column 'category'", "text"]),
    ("a.jsonl", '\n{"text": \n', [":2 is not JSON"]),
    ("a.jsonl", "[1]", [":1 holds a list"]),
    ("a.jsonl", '{"text": 1, "category": 1}', [":1: 'text' is a int"]),
    ("a.parquet", "x", ["'.parquet'", ".csv, .tsv and .jsonl"]),
  ],
)
def test_a_bad_table_is_one_line_with_its_place(tmp_path, name, text, words):
  line = message(write(tmp_path, name, text))
  assert name in line
  for word in words:
    assert word in line


def test_a_missing_table_is_named(tmp_path):
  assert "nowhere.csv" in message(str(tmp_path / "nowhere.csv"))


def test_numbers_are_labels_in_json_and_sort_as_numbers(tmp_path):
  rows = [{"text": f"t{i}", "label": i % 11} for i in range(44)]
  path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
  task = load_task(TaskConfig(kind="table", train=path))
  assert task.labels == tuple(str(i) for i in range(11))


def make_tables(tmp_path, test_label="b"):
  train = "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(40))
  return TaskConfig(
    kind="table",
    train=write(tmp_path, "train.csv", train),
    test=write(tmp_path, "test.csv", f"text,label\nu,a\nv,{test_label}\n"),
    dev_rate=0.25,
  )


def test_what_has_no_file_is_held_out_of_train(tmp_path):
  task = load_task(make_tables(tmp_path))
  assert task.test.texts == ("u", "v")
  assert len(task.train) == 30
  assert len(task.dev) == 10
  assert set(task.train.texts).isdisjoint(task.dev.texts)
  assert np.bincount(task.dev.labels_N).tolist() == [5, 5]
  again = load_task(make_tables(tmp_path))
  assert again.dev.texts == task.dev.texts


def test_an_unknown_label_names_file_line_and_labels(tmp_path):
  with pytest.raises(ValueError, match=r"test.csv:3: label 'c'.*a, b"):
    load_task(make_tables(tmp_path, test_label="c"))


@pytest.mark.parametrize(
  ("text", "word"),
  [
    ("text,label\na,x\nb,x\n", "only the label x"),
    ("text,label\na,x\nb,y\n", "no label twice"),
  ],
)
def test_a_table_that_is_no_task_is_refused(tmp_path, text, word):
  path = write(tmp_path, "a.csv", text)
  with pytest.raises(ValueError, match=word):
    load_task(TaskConfig(kind="table", train=path))


def test_a_table_needs_a_path():
  with pytest.raises(ValueError, match=r"task.train is empty"):
    load_task(TaskConfig(kind="table"))


def test_order_is_a_permutation_of_its_key_alone():
  first = order(1000, 3, 5)
  assert sorted(first) == list(range(1000))
  assert (order(1000, 3, 5) == first).all()
  assert (order(1000, 3, 6) != first).any()
  # Written out once: another numpy may not draw another order.
  assert order(8, 1, 2).tolist() == [4, 2, 0, 6, 1, 5, 7, 3]


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.5])
def test_a_share_that_is_none_is_refused(rate):
  with pytest.raises(ValueError, match="between 0 and 1"):
    hold_out(np.zeros(4, np.int32), rate, 0)


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
  with pytest.raises(ValueError, match="labels_per_class=-1"):
    subsample(labels_N, -1, seed=7)


def test_banking77_is_read(real_data):
  folder = real_data / "banking77"
  config = TaskConfig(
    kind="table",
    train=str(folder / "train.csv"),
    test=str(folder / "test.csv"),
    label="category",
  )
  task = load_task(config)
  assert len(task.labels) == 77
  assert len(task.train) + len(task.dev) == 10_003
  assert len(task.test) == 3_080
  assert task.test.texts[0] == "How do I locate my card?"
  with pytest.raises(ValueError, match=r"no column 'label'; .*text, category"):
    load_task(TaskConfig(kind="table", train=config.train))


def test_cola_is_read_without_a_header(real_data):
  folder = real_data / "cola"
  config = TaskConfig(
    kind="table",
    train=str(folder / "train.tsv"),
    dev=str(folder / "dev.tsv"),
    header="source,label,mark,sentence",
    text="sentence",
  )
  task = load_task(config)
  assert task.labels == ("0", "1")
  assert "Our friends won't buy this analysis" in " ".join(
    (*task.train.texts, *task.test.texts)
  )
