# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of rows with words and tags, or with a question and its answers."""

import json


def write(path, *sentences, words="tokens", tags="ner_tags"):
  """Write a line of JSON for each sentence of (word, tag); return the path."""
  rows = [
    {words: [word for word, _ in each], tags: [tag for _, tag in each]}
    for each in sentences
  ]
  return write_lines(path, rows)


def write_lines(path, rows):
  """Write a line of JSON for each row; return the path."""
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return str(path)


def question(text, context, *answers, id="q"):
  """Return a row as of SQuAD on the hub; an answer is a text of the context."""
  return {
    "id": id,
    "title": "t",
    "context": context,
    "question": text,
    "answers": {
      "text": list(answers),
      "answer_start": [context.index(answer) for answer in answers],
    },
  }
