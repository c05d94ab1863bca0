# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from data_pipelines.tasks.squad import Answer, Question, read_file
from tests.testing import squad_files


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
