# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files in the form of SQuAD."""

import json


def write(path, *paragraphs, version="1.1", ids=False):
  """Write a file of (context, [(question, answer or None), …]); return it.

  An answer is a text that the context has, or (text, answer_start). With `ids`,
  each question has an id: q0, q1 and so on.
  """
  data = [
    {
      "context": context,
      "qas": [
        _asked(context, question, answer) for question, answer in questions
      ],
    }
    for context, questions in paragraphs
  ]
  if ids:
    for number, asked in enumerate(a for each in data for a in each["qas"]):
      asked["id"] = f"q{number}"
  whole = {"version": version, "data": [{"title": "t", "paragraphs": data}]}
  path.write_text(json.dumps(whole))
  return str(path)


def _asked(context, question, answer):
  if answer is None:
    return {"question": question, "answers": [], "is_impossible": True}
  text, start = (
    answer if isinstance(answer, tuple) else (answer, context.index(answer))
  )
  return {
    "question": question,
    "answers": [{"text": text, "answer_start": start}],
  }
