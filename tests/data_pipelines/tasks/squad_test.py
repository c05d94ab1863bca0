# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

import pytest

from data_pipelines.tasks.squad import (
  Answer,
  Question,
  read_file,
  read_unanswered,
)
from data_pipelines.tasks.table_files import BadRow, Row
from tests.testing import hub_rows, squad_files

SWIMS = hub_rows.question("Who swims?", "The cod swims.", "cod", "The cod")


def test_questions_have_their_context_and_answers(tmp_path):
  path = squad_files.write(
    tmp_path / "a.json",
    ("The cod swims.", [("Who swims?", "cod"), ("Why?", None)]),
    version="v2.0",
  )
  place = f"{path} data[0] paragraphs[0] qas"
  assert read_file(path).examples == (
    Question(
      "Who swims?", "The cod swims.", (Answer("cod", 4),), f"{place}[0]"
    ),
    Question("Why?", "The cod swims.", (), f"{place}[1]"),
  )


@pytest.mark.parametrize(
  ("answer", "is_lost"),
  [
    (("cod", 4), False),
    (("cod swims.", 4), False),
    (("cod", 3), True),
    (("eel", 4), True),
    (("cod", -3), True),
    ((" ", 3), True),
  ],
)
def test_an_answer_is_lost_where_the_context_has_another_text(answer, is_lost):
  question = Question("Who?", "The cod swims.", (Answer(*answer),))
  assert question.is_lost == is_lost
  assert not question._replace(answers=()).is_lost


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda w: w["data"][0]["paragraphs"][0].pop("context"), r"\] has no 'con"),
    (
      lambda w: w.update(data={}),
      "has an object as 'data'; give .* it is a list",
    ),
    (lambda w: w.update(data=[]), "has no questions; give a file of SQuAD"),
    (lambda w: w.update(data=[3]), r"a.json data\[0\] has no 'paragraphs'"),
    (
      lambda w: w["data"][0]["paragraphs"][0]["qas"][0].update(question=" "),
      r"qas\[0\] has an empty question or context",
    ),
    (
      lambda w: w["data"][0]["paragraphs"][0]["qas"][0]["answers"][0].update(
        answer_start="4"
      ),
      r"answers\[0\] has a string as 'answer_start'; .* a whole number",
    ),
  ],
)
def test_another_form_is_refused_with_its_place(tmp_path, change, message):
  path = tmp_path / "a.json"
  squad_files.write(path, ("The cod.", [("Who?", "cod")]))
  whole = json.loads(path.read_text())
  change(whole)
  path.write_text(json.dumps(whole))
  with pytest.raises(ValueError, match=message):
    read_file(str(path))


def test_what_is_not_json_is_refused_with_its_line(tmp_path):
  path = tmp_path / "a.json"
  path.write_text('{"data":\n [}')
  with pytest.raises(ValueError, match=r"a.json:2 is not JSON \(Expecting"):
    read_file(str(path))


def test_rows_of_the_hub_say_the_same_as_the_json(tmp_path):
  path = hub_rows.write_lines(
    tmp_path / "a.jsonl",
    [
      SWIMS,
      hub_rows.question("Why?", "The cod swims."),
      # As the JSON has them, and without the list.
      {**SWIMS, "answers": [{"text": "cod", "answer_start": 4}]},
      {"question": "Why?", "context": "The elm.", "is_impossible": True},
    ],
  )
  context = "The cod swims."
  cod = Answer("cod", 4)
  assert read_file(path).examples == (
    Question("Who swims?", context, (cod, Answer("The cod", 0)), f"{path}:1"),
    Question("Why?", context, (), f"{path}:2"),
    Question("Who swims?", context, (cod,), f"{path}:3"),
    Question("Why?", "The elm.", (), f"{path}:4"),
  )


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"question": None}, "has no 'question'; give a file in the form of SQuAD"),
    ({"question": " "}, "has an empty question or context"),
    ({"context": 3}, "has a number as 'context'; give a string"),
    ({"answers": "cod"}, "has a string as 'answers'"),
    ({"answers": None}, "has no 'answers'"),
    ({"answers": {"text": ["cod"]}}, "answers has no 'answer_start'"),
    (
      {"answers": {"text": ["cod"], "answer_start": []}},
      "answers has 1 of 'text' and 0 of 'answer_start'; give as many",
    ),
    (
      {"answers": {"text": ["cod"], "answer_start": ["4"]}},
      r"answers\[0\] has a string as 'answer_start'",
    ),
  ],
)
def test_a_bad_row_is_named_or_skipped_and_counted(tmp_path, change, message):
  path = hub_rows.write_lines(
    tmp_path / "a.jsonl", [SWIMS, {**SWIMS, **change}]
  )
  with pytest.raises(ValueError, match=f"a.jsonl:2 {message}") as caught:
    read_file(path)
  assert str(caught.value).endswith("give --config.task.skip_bad_rows")
  assert "\n" not in str(caught.value)
  file = read_file(path, skip_bad_rows=True)
  assert len(file.examples) == 1
  (skipped,) = file.skipped
  assert skipped.startswith(f"{path}:2 ")


def test_rows_without_a_column_or_json_are_bad(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_text('{"question": "Who?"}\n{\n')
  with pytest.raises(
    ValueError, match=r":1 has no column 'context'; it has question; to leave"
  ):
    read_file(str(path))
  with pytest.raises(ValueError, match=r"no questions that can be used; .*:1 "):
    read_file(str(path), skip_bad_rows=True)
  first, second = read_unanswered(str(path))
  assert first == BadRow(1, "has no column 'context'; it has question")
  assert isinstance(second, BadRow)
  assert second.wrong.startswith("is not JSON")


def test_bad_questions_of_the_json_are_skipped_and_counted(tmp_path):
  path = tmp_path / "a.json"
  asked = [("Who?", "cod"), (" ", "cod"), ("What?", "cod")]
  paragraphs = [("The cod.", asked)] * 3
  squad_files.write(path, *paragraphs, ids=True)
  whole = json.loads(path.read_text())
  article = whole["data"][0]
  del article["paragraphs"][1]["context"]
  del article["paragraphs"][2]["qas"][2]["answers"]
  whole["data"].append({"title": "empty"})
  path.write_text(json.dumps(whole))
  with pytest.raises(
    ValueError, match=r"qas\[1\] has an empty .*; to leave out .*skip_bad_rows"
  ):
    read_file(str(path))
  file = read_file(str(path), skip_bad_rows=True)
  assert [each.question for each in file.examples] == ["Who?", "What?", "Who?"]
  at = f"{path} data[0] paragraphs"
  assert [line.partition(" has ")[0] for line in file.skipped] == [
    *(f"{at}[0] qas[1]", f"{at}[1]", f"{at}[2] qas[1]", f"{at}[2] qas[2]"),
    f"{path} data[1]",
  ]
  # Nor can questions without a context be answered.
  rows: list[Any] = [*read_unanswered(str(path))]
  assert [isinstance(row, Row) for row in rows] == [
    *(True, True, True, False, True, True, True, False)
  ]
  assert rows[3].wrong.startswith("data[0] paragraphs[1] has no 'context'")
  assert [row.line for row in rows] == [1, 2, 3, 4, 4, 5, 6, 7]


def test_questions_of_rows_are_read_without_their_answers(tmp_path):
  unanswered = {**SWIMS, "answers": 3, "id": None}
  path = hub_rows.write_lines(tmp_path / "a.jsonl", [SWIMS, unanswered])
  first, second = read_unanswered(path)
  fields = {"question": "Who swims?", "context": "The cod swims."}
  assert first == Row(1, {**fields, "id": "q"})
  assert second == Row(2, fields)
