# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Splits of tables; those that are held out are tested with `tabular`."""

import pytest

from data_pipelines.tasks.labeled_tables import HeldOut, make_data
from data_pipelines.tasks.tables import Table
from data_pipelines.tasks.targets import class_target, score_target

NOTHING = HeldOut(0.0, 0.0, 0)


def table(path, labels, skipped=()):
  texts = tuple(f"{path} {row}" for row in range(3))
  return Table(path, texts, None, labels, (2, 3, 4), skipped, 1)


def test_classes_that_are_given_keep_their_order():
  tables = {
    "train": table("a.tsv", ("no", "yes", "no")),
    "dev": table("b.tsv", ("yes", "yes", "yes"), ("b.tsv:5 is bad",)),
  }
  target = class_target(("yes", "no", "maybe"))
  data = make_data("x", tables, target, NOTHING, "not public")
  assert data.labels == ("yes", "no", "maybe")
  assert data.train.labels_N.tolist() == [1, 0, 1]
  assert data.test is None
  assert data.table.unscored_test == "not public"
  assert (data.table.rows, data.table.stripped_labels) == (7, 2)
  assert data.table.skipped == ("b.tsv:5 is bad",)


def test_scores_are_held_out_from_all_texts_alike():
  tables = {"train": table("a.tsv", ("0.5", "1.5", "2.5"))}
  target = score_target("score", (0, 5))
  data = make_data("x", tables, target, HeldOut(0.0, 0.34, 0), "")
  assert (len(data.train), len(data.dev)) == (2, 1)
  assert data.train.labels_N.dtype == "float32"


def test_a_test_table_without_labels_says_so():
  tables = {
    name: table(f"{name}.tsv", ("a", "b", "a")) for name in ("train", "dev")
  }
  tables["test"] = table("test.tsv", None)
  data = make_data("x", tables, class_target(), NOTHING, "unused")
  assert data.test is None
  assert data.table.unscored_test == "test.tsv has no labels"


def test_a_label_beyond_those_of_train_names_its_line():
  tables = {
    "train": table("a.tsv", ("a", "b", "a")),
    "dev": table("b.tsv", ("a", "c", "a")),
  }
  with pytest.raises(ValueError, match=r"b.tsv:3: label 'c' is not in a.tsv"):
    make_data("x", tables, class_target(), NOTHING, "")


def test_rows_with_a_label_beyond_those_of_train_are_skipped_if_asked():
  tables = {
    "train": table("a.tsv", ("a", "b", "a")),
    "dev": table("b.tsv", ("a", "c", "a")),
  }
  with pytest.raises(ValueError, match=r"add examples of it to a.tsv, or skip"):
    make_data("x", tables, class_target(), NOTHING, "")
  data = make_data("x", tables, class_target(), NOTHING, "", skip_bad_rows=True)
  assert data.dev.labels_N.tolist() == [0, 0]
  (skipped,) = data.table.skipped
  assert skipped.startswith("b.tsv:3 has the label 'c', which a.tsv lacks")
  assert data.table.rows == 6
  assert data.table.first_label == "a.tsv:2 has 'a'"
  tables["dev"] = table("b.tsv", ("c", "c", "c"))
  with pytest.raises(ValueError, match=r"b.tsv has no rows that can be used"):
    make_data("x", tables, class_target(), NOTHING, "", skip_bad_rows=True)
