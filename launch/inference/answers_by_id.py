# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The answers to a file of SQuAD as its official script scores them.

They are one object {id: answer}, "" for no answer (evaluate-v2.0.py).
"""

import json
import pathlib

from bertjax import files
from data_pipelines.tasks.table_files import BadRow
from launch.inference.inputs import Source


def is_by_id(source: Source, path: str) -> bool:
  """Return whether an output is an object of answers and no lines."""
  has_ids = source.form is not None and source.form.ids
  return has_ids and path.lower().endswith(".json")


def check_ids(source: Source, path: str, top_k: int | None = None) -> None:
  """Refuse a file whose questions cannot be told apart.

  Args:
    source: the file.
    path: the output.
    top_k: number of alternatives that is asked for.

  Raises:
    ValueError: a question has no id, or that of another one; `top_k` is given;
      the file cannot be read.
  """
  if top_k is not None:
    raise ValueError(
      f"top_k={top_k} has no effect: {path} has one answer for each id; leave "
      "--top_k out, or give an --output that ends in .jsonl"
    )
  lines: dict[str, int] = {}
  for row in source.rows():
    if isinstance(row, BadRow):
      continue
    other = lines.setdefault(row.id, row.line)
    if not row.id or other != row.line:
      wrong = f"the id {row.id!r} of question {other}" if row.id else "no id"
      raise ValueError(
        f"{source.path}: question {row.line} has {wrong}, and {path} has an "
        "answer for each id; give an --output that ends in .jsonl, which has a "
        "line for each question"
      )


def write_by_id(rows: pathlib.Path, path: pathlib.Path) -> None:
  """Write an object of answers from the lines of a file."""
  with rows.open(encoding="utf-8") as stream:
    records = map(json.loads, stream)
    answers = {each["id"]: each["answer"] for each in records}
  files.write_json(path, answers)
