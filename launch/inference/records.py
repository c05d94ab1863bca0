# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of an example, as named values for a line of JSON."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax.finetune.multi_label import TASK as MULTI_LABEL
from bertjax.finetune.multiple_choice import TASK as MULTIPLE_CHOICE
from bertjax.finetune.question_answering import TASK as QUESTION_ANSWERING
from bertjax.finetune.tagging import TASK as TAGGING
from bertjax.finetune.task import Answer, FinetuneTask

Record = dict[str, Any]
# Tasks whose answers are alternatives, the likeliest first. Those of others
# belong together, such as the entities of a text.
_ALTERNATIVES = frozenset(
  {
    *("classification", MULTI_LABEL.name),
    *(QUESTION_ANSWERING.name, MULTIPLE_CHOICE.name),
  }
)


def shorten(
  task: FinetuneTask, answers: Sequence[Answer], top_k: int | None
) -> list[Answer]:
  """Return the likeliest answers; all where they are no alternatives.

  Of several labels, those that are given are never left out.
  """
  if not has_alternatives(task):
    return list(answers)
  if task.name == MULTI_LABEL.name:
    return _with_given(answers, top_k)
  return list(answers[:top_k])


def has_alternatives(task: FinetuneTask) -> bool:
  """Return whether answers are alternatives, of which some may be left out."""
  return task.name in _ALTERNATIVES


def make_record(
  task: FinetuneTask, answers: Sequence[Answer], top_k: int | None = None
) -> Record:
  """Return the values of an example.

  A class is `label` and `probability`, with `probabilities` by class; several
  classes are `labels` and `probabilities`; a score is `score`. Entities are a
  list `entities`. An answer is `answer`, "" where there is none, with its
  `probability`, `start` and `stop`, and `alternatives`. So is a `choice`, with
  its `number` from 0. Other tasks have a list `answers`, whose names are those
  of the task.

  Args:
    task: kind of task.
    answers: the answers to an example, the likeliest first.
    top_k: largest number of alternatives; None is all. Labels that are given
      are none.
  """
  make = _RECORDS.get(task.name)
  return make(answers, top_k) if make else _listed(task, answers)


def _class(answers: Sequence[Answer], top_k: int | None) -> Record:
  label, probability = answers[0]
  return {
    "label": label,
    "probability": probability,
    "probabilities": dict(answers[:top_k]),
  }


def _classes(answers: Sequence[Answer], top_k: int | None) -> Record:
  return {
    "labels": [label for label, _, is_given in answers if is_given],
    "probabilities": {label: p for label, p, _ in _with_given(answers, top_k)},
  }


def _with_given(answers: Sequence[Answer], top_k: int | None) -> list[Answer]:
  """Return the likeliest labels, and each that is given."""
  likeliest = len(answers) if top_k is None else top_k
  return [
    each for rank, each in enumerate(answers) if rank < likeliest or each[2]
  ]


def _score(answers: Sequence[Answer], top_k: int | None) -> Record:
  del top_k
  ((score,),) = answers
  return {"score": score}


def _listed(task: FinetuneTask, answers: Sequence[Answer]) -> Record:
  return {"answers": _named(task.answer_columns, answers)}


def _entities(answers: Sequence[Answer], top_k: int | None) -> Record:
  del top_k  # all entities of a text belong together
  return {"entities": _named(TAGGING.answer_columns, answers)}


def _span(answers: Sequence[Answer], top_k: int | None) -> Record:
  return _best(QUESTION_ANSWERING.answer_columns, answers[:top_k])


def _choice(answers: Sequence[Answer], top_k: int | None) -> Record:
  return _best(MULTIPLE_CHOICE.answer_columns, answers[:top_k])


def _best(columns: Sequence[str], answers: Sequence[Answer]) -> Record:
  best, *others = _named(columns, answers)
  return {**best, "alternatives": others}


def _named(
  columns: Sequence[str], answers: Sequence[Answer]
) -> list[dict[str, Any]]:
  return [dict(zip(columns, each, strict=True)) for each in answers]


_RECORDS: Mapping[str, Callable[[Sequence[Answer], int | None], Record]] = {
  "classification": _class,
  "multi_label": _classes,
  "regression": _score,
  "tagging": _entities,
  "question_answering": _span,
  "multiple_choice": _choice,
}
