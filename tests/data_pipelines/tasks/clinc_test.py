# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks import clinc

LISTS = {
  "train": [["say hi", "translate"], ["pay now", "pay"]],
  "val": [["hola", "translate"], ["pay it", "pay"]],
  "test": [["bonjour", "translate"]],
  "oos_train": [["what dow", "oos"]],
  "oos_test": [["why", "oos"], ["how", "oos"]],
}


def load(tmp_path, lists):
  (tmp_path / "data_full.json").write_text(json.dumps(lists))
  return clinc.load_task(TaskConfig(kind="clinc150", folder=str(tmp_path)))


def test_out_of_scope_is_a_class(tmp_path):
  data = load(tmp_path, LISTS)
  assert data.labels == ("oos", "pay", "translate")
  assert data.train.labels_N.tolist() == [2, 1, 0]
  assert data.test is not None
  assert data.test.labels_N.tolist() == [2, 0, 0]


def test_an_intent_that_train_lacks_is_one_line(tmp_path):
  lists = LISTS | {"val": [["hola", "translate"], ["rain?", "weather"]]}
  with pytest.raises(
    ValueError, match=r"json:val:1: label 'weather' is not in .*train"
  ):
    load(tmp_path, lists)


def test_it_needs_a_folder():
  with pytest.raises(ValueError, match=r"task.folder is empty; .*data_full"):
    clinc.load_task(TaskConfig(kind="clinc150"))
