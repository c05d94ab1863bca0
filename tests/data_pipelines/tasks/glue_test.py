# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A task of GLUE becomes data that its `FinetuneTask` learns from."""

from typing import Any, cast

import numpy as np
import pytest

from bertjax.batch import check_batch
from bertjax.config import TaskConfig, choices
from bertjax.finetune import classification, regression
from data_pipelines.tasks import glue
from data_pipelines.tasks.batches import RowOptions
from data_pipelines.tasks.glue_tasks import GLUE, LEARNED
from tests.testing import glue_folders
from tests.testing.number_tokenizer import NumberTokenizer

TASKS = {each.name: each for each in (classification.TASK, regression.TASK)}


def make_text(name, row):
  return f"{row + 10} {len(name)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return glue_folders.make(tmp_path_factory.mktemp("glue"), text=make_text)


def config_of(folder, name, **changes):
  return TaskConfig(
    kind="glue",
    name=cast(Any, name),
    folder=str(folder),
    skip_bad_rows=True,
    **changes,
  )


def test_the_config_knows_every_task():
  assert choices(TaskConfig, "name") == ("", *LEARNED)


@pytest.mark.parametrize("name", LEARNED)
def test_data_are_what_the_task_declares(folder, name):
  config = config_of(folder, name)
  data = glue.read(config, NumberTokenizer(), RowOptions(16))
  task = TASKS[glue.task_name(config)]
  assert data.name == name
  assert data.labels == (GLUE[name].labels or ("score",))
  assert data.pair == bool(GLUE[name].text_pair)
  assert set(data.splits) == (
    {"train", "dev", "test"} if name == "mnli" else {"train", "dev"}
  )
  for split in data.splits.values():
    assert len(split) == 8
    for batch in split.evaluation(8):
      check_batch(batch.arrays, task.features)
  unscored = data.figures.table.unscored_test
  assert unscored == (
    ""
    if name == "mnli"
    else f"the labels of the test split of {GLUE[name].title} are not public"
  )


def test_scores_are_the_numbers_of_the_file(folder):
  config = config_of(folder, "stsb")
  data = glue.read(config, NumberTokenizer(), RowOptions(16, pack=False))
  (batch,) = data.splits["dev"].evaluation(8)
  scores_N = batch.arrays["score_BR"][:, 0]
  np.testing.assert_allclose(
    scores_N, [0, 0.95, 1.9, 2.85, 3.8, 4.75, 0, 0.95], rtol=1e-6
  )


def test_rows_that_are_left_out_are_counted(folder):
  for name, words in (("qqp", "has 4 fields"), ("mnli", "label '-'")):
    table = glue.load_task(config_of(folder, name)).table
    (line,) = table.skipped
    assert words in line
  assert glue.load_task(config_of(folder, "mnli")).table.rows == 25


def test_a_test_split_that_is_another_dev_split_says_so(folder):
  (note,) = glue.load_task(config_of(folder, "mnli")).table.notes
  assert note.startswith("test is a dev split, too: ")
  assert note.endswith("dev_mismatched.tsv")
  assert glue.load_task(config_of(folder, "rte")).table.notes == ()


def test_mrpc_without_the_list_of_dev_says_what_dev_is(tmp_path):
  glue_folders.write_msr(tmp_path, dev=(), rows=40)
  data = glue.load_task(config_of(tmp_path, "mrpc"))
  assert (len(data.train), len(data.dev)) == (36, 4)
  assert data.test is not None
  (note,) = data.table.notes
  assert "no dev_ids.tsv beside it" in note
  assert "4 rows of its own are held out" in note


@pytest.mark.parametrize(
  ("config", "words"),
  [
    (TaskConfig(kind="glue"), r"task.name=''; give one of cola, sst2"),
    (TaskConfig(kind="glue", name="rte"), r"task.folder is empty; .* of RTE"),
    (
      TaskConfig(kind="glue", name="stsb", folder="a", labels_per_class=3),
      r"labels_per_class=3, and STS-B has scores",
    ),
    (TaskConfig(kind="glue", name="rte", folder="a"), r"'a' is not a folder"),
  ],
)
def test_a_config_without_a_task_is_one_line(config, words):
  with pytest.raises(ValueError, match=words):
    glue.load_task(config)
