# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read SQuAD 1.1 and 2.0 (Rajpurkar et al., 2016 and 2018).

Files are the original JSON, or rows of a question, its context and its answers,
as data sets of the hub are.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bertjax.config.finetune import is_rows
from bertjax.files import describe_json
from data_pipelines.tasks.file_splits import ExampleFile
from data_pipelines.tasks.table_files import (
  BadRow,
  Columns,
  Row,
  decode,
  listed,
  read_rows,
)

# The columns of rows.
_COLUMNS = Columns(
  "question", "answers", "context", others=("id", "is_impossible")
)
# What a field is, for messages.
_KINDS = {str: "a string", list: "a list", int: "a whole number"}


class Answer(NamedTuple):
  """A text, and its first character in the context."""

  text: str
  start: int


class Question(NamedTuple):
  """A question about a context.

  Attributes:
    question: its text.
    context: the text that may have an answer.
    answers: the answers; none where the context has none (SQuAD 2.0).
    place: where it stands, for messages.
  """

  question: str
  context: str
  answers: tuple[Answer, ...] = ()
  place: str = ""

  @property
  def is_lost(self) -> bool:
    """Whether its first answer is not where the context should have it."""
    return bool(self.answers) and not _is_there(self.context, self.answers[0])


class _Asked(NamedTuple):
  """A question as it stands.

  Attributes:
    number: the number of the question in the file from 1, or its line.
    place: where it stands.
    question: the object that has it.
    context: its context.
  """

  number: int
  place: str
  question: Any
  context: str


def read_file(path: str, skip_bad_rows: bool = False) -> ExampleFile[Question]:
  """Read the questions of a file.

  Args:
    path: path of the file, or name of a data set of rows.
    skip_bad_rows: leave out questions that cannot be read, and paragraphs
      whose questions cannot; otherwise one is an error.

  Raises:
    ValueError: the file cannot be read or has no question; or a question is
      not of this form, and is not to be skipped. The message is one line.
  """
  questions, skipped = [], []
  for each in _asked(path):
    wrong = each.wrong if isinstance(each, BadRow) else ""
    if not isinstance(each, BadRow):
      try:
        questions.append(_question(each))
      except ValueError as error:
        wrong = str(error)
    if wrong and not skip_bad_rows:
      raise ValueError(
        f"{wrong}; to leave out such questions, give "
        "--config.task.skip_bad_rows"
      )
    skipped += [wrong] if wrong else []
  if not questions:
    few = f" that can be used; {skipped[0]}" if skipped else ""
    raise ValueError(f"{path} has no questions{few}; give a file of SQuAD")
  return ExampleFile(tuple(questions), tuple(skipped))


def read_unanswered(path: str) -> Iterator[Row | BadRow]:
  """Yield the questions of a file, whose answers are not read.

  Returns:
    Rows with what they have of `question`, `context` and `id`; a row's line is
    the number of the question in the file, from 1, or its line in a file of
    rows.

  Raises:
    ValueError: the file cannot be read, or is not of this form.
  """
  for each in _asked(path):
    if isinstance(each, BadRow):
      # The reader of rows puts the file and the line before it.
      wrong = each.wrong.removeprefix(path).removeprefix(f":{each.line}")
      yield BadRow(each.line, wrong.strip())
    elif isinstance(each.question, Mapping):
      fields = {
        name: each.question[name]
        for name in ("question", "id")
        if each.question.get(name) is not None
      }
      yield Row(each.number, {**fields, "context": each.context})
    else:
      yield BadRow(
        each.number, f"is {describe_json(each.question)}; give an object"
      )


def _asked(path: str) -> Iterator[_Asked | BadRow]:
  """Yield each question as it stands, or what is wrong where some should be.

  What is wrong begins with its place.
  """
  if is_rows(path):
    yield from _of_rows(path)
    return
  number = 1
  for article, place in _each(_load(path), "data", path):
    for found in _of_article(article, place):
      if isinstance(found, str):
        yield BadRow(number, found)
      else:
        yield _Asked(number, *found)
        number += 1


def _of_article(
  article: Any, place: str
) -> Iterator[tuple[str, Any, str] | str]:
  """Yield place, question and context; or what is wrong with a paragraph."""
  try:
    paragraphs = [*_each(article, "paragraphs", place)]
  except ValueError as error:
    yield str(error)
    return
  for paragraph, at in paragraphs:
    try:
      context = _get(paragraph, "context", str, at)
      asked = [*_each(paragraph, "qas", at)]
    except ValueError as error:
      yield str(error)
      continue
    for each, where in asked:
      yield where, each, context


def _of_rows(path: str) -> Iterator[_Asked | BadRow]:
  for row in read_rows(path, _COLUMNS, _COLUMNS.texts):
    place = f"{path}:{row.line}"
    if isinstance(row, BadRow):
      yield BadRow(row.line, f"{place} {row.wrong}")
      continue
    context = row.fields.get("context")
    if isinstance(context, str):
      yield _Asked(row.line, place, row.fields, context)
      continue
    found = f"{describe_json(context)} as 'context'; give a string"
    if "context" not in row.fields:
      found = f"no column 'context'; it has {listed(tuple(row.fields))}"
    yield BadRow(row.line, f"{place} has {found}")


def _load(path: str) -> Any:
  text = decode(path)
  try:
    return json.loads(text)
  except (ValueError, RecursionError) as error:
    line = getattr(error, "lineno", 1)
    raise ValueError(
      f"{path}:{line} is not JSON ({getattr(error, 'msg', error)}); give a "
      "file of SQuAD"
    ) from None


def _question(each: _Asked) -> Question:
  asked, context, place = each.question, each.context, each.place
  question = _get(asked, "question", str, place)
  if not question.strip() or not context.strip():
    raise ValueError(
      f"{place} has an empty question or context; give a text, or delete it"
    )
  return Question(
    question,
    context,
    tuple(
      Answer(
        _get(answer, "text", str, at), _get(answer, "answer_start", int, at)
      )
      for answer, at in _answers(asked, place)
    ),
    place,
  )


def _answers(asked: Mapping[str, Any], place: str) -> Iterator[tuple[Any, str]]:
  """Return the answers of a question, each with its place."""
  answers = asked.get("answers")
  # A question that has no answer may lack the list of them.
  if asked.get("is_impossible") and not answers:
    return iter(())
  if not isinstance(answers, Mapping):
    return _each(asked, "answers", place)
  # Data sets of the hub have one object of two lists.
  at = f"{place} answers"
  texts = _get(answers, "text", list, at)
  starts = _get(answers, "answer_start", list, at)
  if len(texts) != len(starts):
    raise ValueError(
      f"{at} has {len(texts)} of 'text' and {len(starts)} of 'answer_start'; "
      "give as many"
    )
  return _each(
    {
      "answers": [
        {"text": text, "answer_start": start}
        for text, start in zip(texts, starts, strict=True)
      ]
    },
    "answers",
    place,
  )


def _each(holder: Any, name: str, place: str) -> Iterator[tuple[Any, str]]:
  """Yield the objects of a list, each with its place."""
  for number, each in enumerate(_get(holder, name, list, place)):
    yield each, f"{place} {name}[{number}]"


def _get(holder: Any, name: str, kind: type, place: str) -> Any:
  value = holder.get(name) if isinstance(holder, Mapping) else None
  if not isinstance(value, kind):
    found = "no" if value is None else f"{describe_json(value)} as"
    raise ValueError(
      f"{place} has {found} {name!r}; give a file in the form of SQuAD, where "
      f"it is {_KINDS[kind]}"
    )
  return value


def _is_there(context: str, answer: Answer) -> bool:
  stop = answer.start + len(answer.text)
  is_text = bool(answer.text.strip()) and answer.start >= 0
  return is_text and context[answer.start : stop] == answer.text
