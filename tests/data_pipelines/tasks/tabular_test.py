# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks.tabular import load_task


def write(tmp_path, name, text):
  path = tmp_path / name
  path.write_text(text)
  return str(path)


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
    ("text,label\na,x\nb,y\n", "no label of .* has two rows"),
  ],
)
def test_a_table_that_is_no_task_is_refused(tmp_path, text, word):
  path = write(tmp_path, "a.csv", text)
  with pytest.raises(ValueError, match=word):
    load_task(TaskConfig(kind="table", train=path))


def test_a_table_needs_a_path():
  with pytest.raises(ValueError, match=r"task.train is empty"):
    load_task(TaskConfig(kind="table"))


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
