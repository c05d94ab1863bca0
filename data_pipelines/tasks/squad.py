# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read the JSON of SQuAD 1.1 and 2.0 (Rajpurkar et al., 2016 and 2018)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bertjax.files import describe_json
from data_pipelines.tasks.file_splits import ExampleFile
from data_pipelines.tasks.table_files import BadRow, Row, decode

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


def read_file(path: str) -> ExampleFile[Question]:
  """Read the questions of a file.

  Raises:
    ValueError: the file cannot be read, is not JSON of this form, or has no
      question. The message is one line.
  """
  questions = tuple(
    _question(asked, context, at) for asked, context, at in _asked(path)
  )
  if not questions:
    raise ValueError(f"{path} has no questions; give a file of SQuAD")
  return ExampleFile(questions, ())


def read_unanswered(path: str) -> Iterator[Row | BadRow]:
  """Yield the questions of a file, whose answers are not read.

  Returns:
    Rows with what they have of `question`, `context` and `id`; a row's line is
    the number of the question in the file, from 1.

  Raises:
    ValueError: the file cannot be read, or is not JSON of this form.
  """
  for number, (asked, context, _) in enumerate(_asked(path), 1):
    if isinstance(asked, Mapping):
      names = [name for name in ("question", "id") if name in asked]
      fields = {name: asked[name] for name in names}
      yield Row(number, {**fields, "context": context})
    else:
      yield BadRow(number, f"is {describe_json(asked)}; give an object")


def _asked(path: str) -> Iterator[tuple[Any, str, str]]:
  """Yield each question as it stands, its context, and its place."""
  text = decode(path)
  try:
    whole = json.loads(text)
  except (ValueError, RecursionError) as error:
    line = getattr(error, "lineno", 1)
    raise ValueError(
      f"{path}:{line} is not JSON ({getattr(error, 'msg', error)}); give a "
      "file of SQuAD"
    ) from None
  for article, article_place in _each(whole, "data", path):
    for paragraph, place in _each(article, "paragraphs", article_place):
      context = _get(paragraph, "context", str, place)
      for asked, at in _each(paragraph, "qas", place):
        yield asked, context, at


def _question(asked: Any, context: str, place: str) -> Question:
  question = _get(asked, "question", str, place)
  if not question.strip() or not context.strip():
    raise ValueError(
      f"{place} has an empty question or context; give a text, or delete it"
    )
  # A question that has no answer may lack the list of them.
  without = asked.get("is_impossible") and not asked.get("answers")
  answers = [] if without else _each(asked, "answers", place)
  return Question(
    question,
    context,
    tuple(
      Answer(
        _get(answer, "text", str, at), _get(answer, "answer_start", int, at)
      )
      for answer, at in answers
    ),
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
