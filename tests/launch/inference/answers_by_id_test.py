# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from data_pipelines.tasks import squad
from data_pipelines.tasks.table_files import Columns
from launch.inference.answers_by_id import check_ids, is_by_id, write_by_id
from launch.inference.inputs import Form, Source
from tests.testing import squad_files

FORM = Form(
  "squad", squad.read_unanswered, Columns("question", "", "context"), ids=True
)


def source_of(path):
  return Source(str(path), FORM.columns, form=FORM)


def test_only_questions_of_squad_have_answers_by_id(tmp_path):
  source = source_of(tmp_path / "a.json")
  assert is_by_id(source, "out.json")
  assert not is_by_id(source, "out.jsonl")
  assert not is_by_id(Source("a.jsonl", Columns()), "out.json")


def test_lines_become_one_object(tmp_path):
  rows = tmp_path / "rows"
  lines = [{"line": 1, "id": "a", "answer": "cod"}, {"id": "b", "answer": ""}]
  rows.write_text("".join(json.dumps(each) + "\n" for each in lines))
  write_by_id(rows, tmp_path / "out.json")
  found = json.loads((tmp_path / "out.json").read_text())
  assert found == {"a": "cod", "b": ""}


def test_questions_that_cannot_be_told_apart_are_refused(tmp_path):
  path = tmp_path / "a.json"
  asked = ("The cod.", [("Who?", "cod"), ("What?", "cod")])
  squad_files.write(path, asked)
  with pytest.raises(ValueError, match="question 1 has no id, and "):
    check_ids(source_of(path), "out.json")
  squad_files.write(path, asked, ids=True)
  check_ids(source_of(path), "out.json")
  path.write_text(path.read_text().replace("q1", "q0"))
  with pytest.raises(ValueError, match="question 2 has the id 'q0' of quest"):
    check_ids(source_of(path), "out.json")
