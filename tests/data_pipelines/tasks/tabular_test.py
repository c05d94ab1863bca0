# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks.figures import count_numeric
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
  assert task.test is not None
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
    (
      "text,label\na,x\nb,x\nc,x\n",
      r"a.csv has only the label x: at .*a.csv:2 and 2 more rows; give a table",
    ),
    # Integers that count up may be the numbers of classes, but not alone.
    ("text,label\na,0\nb,1\nc,2\n", r"this looks like regression: give --c"),
    ("text,label\na,x\nb,y\n", "no label of .* has two rows"),
    (
      "text,label\na,1.75\nb,2.75\n",
      r"numbers, and no two .* \(1.75, 2.75; .*a.csv:2 has '1.75'\), so this "
      "looks like regression: give --config.task.target=score, or",
    ),
    ("text,label\na,x\nb,y\nA,x\n", "no label of .* has two rows of other"),
  ],
)
def test_a_table_that_is_no_task_is_refused(tmp_path, text, word):
  path = write(tmp_path, "a.csv", text)
  with pytest.raises(ValueError, match=word):
    load_task(TaskConfig(kind="table", train=path))


def test_no_text_is_on_both_sides_of_a_split(tmp_path):
  rows = [(f"Text {i % 30}", "ab"[i % 30 % 2]) for i in range(60)]
  rows += [(f" text  {i}", "ab"[i % 2]) for i in range(30)]
  path = write(
    tmp_path, "a.csv", "text,label\n" + "".join(f"{t},{c}\n" for t, c in rows)
  )
  task = load_task(TaskConfig(kind="table", train=path))
  assert task.test is not None
  sides = [
    {" ".join(text.casefold().split()) for text in split.texts}
    for split in (task.train, task.dev, task.test)
  ]
  assert sum(len(side) for side in sides) == len(set.union(*sides)) == 30


def test_labels_written_by_hand_are_two_classes(tmp_path):
  spellings = ("spam", "spam ", " ham", "ham")
  rows = "".join(f"message {i},{spellings[i % 4]}\n" for i in range(80))
  path = write(tmp_path, "a.csv", "text,label\n" + rows)
  task = load_task(TaskConfig(kind="table", train=path))
  assert task.labels == ("ham", "spam")
  assert task.table.stripped_labels == 40
  assert task.table.rows == 80


def test_scores_are_named_where_dev_has_another_one(tmp_path):
  train = "text,label\na,3.333\nb,1.2\nc,5.0\nd,1.2\n"
  config = TaskConfig(
    kind="table",
    train=write(tmp_path, "a.csv", train),
    dev=write(tmp_path, "dev.csv", "text,label\ne,4.25\n"),
    test_rate=0,
  )
  with pytest.raises(
    ValueError, match=r"label '4.25'.*look like scores.*task.target=score"
  ):
    load_task(config)


def test_minus_one_is_a_score_unless_it_stands_for_none(tmp_path):
  rows = "".join(f"message {n},{n % 3 - 1}\n" for n in range(30))
  path = write(tmp_path, "a.csv", "text,label\n" + rows)
  config = TaskConfig(kind="table", train=path, test_rate=0, target="score")
  task = load_task(config)
  values = [*task.train.labels_N.tolist(), *task.dev.labels_N.tolist()]
  assert sorted(values) == [-1.0] * 10 + [0.0] * 10 + [1.0] * 10
  with pytest.raises(ValueError, match=r"a.csv:2 .* -1, which stands for no"):
    load_task(dataclasses.replace(config, target="label"))
  # Another marker is the user's word.
  with pytest.raises(ValueError, match=r"a.csv:4 .* 1, which stands for no"):
    load_task(dataclasses.replace(config, unlabeled="1"))
  write(tmp_path, "a.csv", "text,label\n" + rows + "nothing,\n")
  with pytest.raises(ValueError, match=r"a.csv:32 is empty in the label"):
    load_task(config)


@pytest.mark.parametrize("test", ["text,label\nu,-1\nv,-1\n", "text\nu\n"])
def test_a_test_table_may_have_no_labels(tmp_path, test):
  config = make_tables(tmp_path)
  path = write(tmp_path, "unlabeled.csv", test)
  task = load_task(dataclasses.replace(config, test=path))
  assert task.test is None
  assert task.table.unscored_test == f"{path} has no labels"


def test_a_test_rate_of_zero_holds_out_dev_alone(tmp_path):
  config = dataclasses.replace(make_tables(tmp_path), test="", test_rate=0)
  task = load_task(config)
  assert task.test is None
  assert (len(task.train), len(task.dev)) == (30, 10)
  assert task.table.unscored_test == "task.test_rate is 0"


def test_rows_that_are_left_out_are_known(tmp_path):
  path = write(tmp_path, "a.csv", "text,label\na,x\n,x\nc,y\nd,y\ne,x\n")
  config = TaskConfig(kind="table", train=path, test_rate=0)
  with pytest.raises(ValueError, match=r"a.csv:3 has no text"):
    load_task(config)
  task = load_task(dataclasses.replace(config, skip_bad_rows=True))
  assert task.table.rows == 5
  (line,) = task.table.skipped
  assert line.startswith(f"{path}:3 has no text")


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
  assert task.test is not None
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
    (*task.train.texts, *(task.test or task.dev).texts)
  )


def test_glue_pairs_are_read_as_distributed(real_data):
  folder = real_data / "rte"
  pairs = TaskConfig(
    kind="table",
    train=str(folder / "train.tsv"),
    dev=str(folder / "dev.tsv"),
    text="sentence1",
    text_pair="sentence2",
    test_rate=0,
  )
  task = load_task(pairs)
  assert task.labels == ("entailment", "not_entailment")
  assert (len(task.train), len(task.dev)) == (2490, 277)
  assert task.train.pairs is not None
  folder = real_data / "sts_b"
  scores = dataclasses.replace(
    pairs, train=str(folder / "train.tsv"), dev="", label="score"
  )
  task = load_task(scores)
  assert count_numeric(task.labels) == len(task.labels)


@pytest.mark.parametrize(
  ("target", "text", "values"),
  [
    ("label", "text,label\none,c\ntwo,a\n", [2, 0]),
    ("labels", 'text,label\none,"c,a"\ntwo,\n', [[1, 0, 1], [0, 0, 0]]),
    ("score", "text,label\none,1.5\ntwo,2\n", [1.5, 2]),
  ],
)
def test_one_table_is_read_for_a_model_that_has_labels(
  tmp_path, target, text, values
):
  path = write(tmp_path, "new.csv", text)
  config = TaskConfig(kind="table", train="gone", test=path, target=target)
  labels = ("points",) if target == "score" else ("a", "b", "c")
  task = load_task(config, labels)
  assert task.labels == labels
  assert [*task.splits] == ["test"]
  assert task.splits["test"].labels_N.tolist() == values
  if target != "score":
    with pytest.raises(ValueError, match=r"new.csv:2\b.*label 'c'"):
      load_task(config, ("a", "b"))
