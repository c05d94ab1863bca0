# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read JSON, one object a line."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bertjax.files import describe_json
from data_pipelines.corpora.documents import Document, clean_text
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.lines import decoded_lines
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

_DECODER = json.JSONDecoder()


def read_json_lines(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of a .jsonl file, one a line, empty ones included.

  Raises:
    ValueError: see `lines.decoded_lines`; also a line that is not JSON or has
      no text.
  """
  lines = decoded_lines(file, options, counts)
  return read_objects(file, lines, options, counts)


def read_objects(
  file: File,
  lines: Iterable[tuple[int, str]],
  options: ReadOptions,
  counts: ReadCounts,
) -> Iterator[Document]:
  """Yield a document for each numbered line that is not blank.

  Raises:
    ValueError: a line that is not JSON or has no text.
  """
  for number, line in lines:
    if not line or line.isspace():
      continue
    place = f"{file.name}:{number}"
    try:
      text = _json_text(line, options.text_field)
    except ValueError as error:
      reason = str(error)
      if number == 1 and line.lstrip()[:1] in ("[", "{"):
        reason += _hint(line)
      options.skip_or_raise(counts, place, reason)
      continue
    yield Document(place, clean_text(text, counts))


def _hint(line: str) -> str:
  """Say what to do with JSON that is not one object a line; "" if it is."""
  if line.lstrip()[:1] == "[" or len(line.strip()) == 1:
    return ", where each line has to be one (jq -c '.[]' writes a list so)"
  return ""


def _parse(line: str) -> Any:
  """Return what `json.loads` does, in less time for a short line."""
  try:
    value, end = _DECODER.raw_decode(line)
    if end == len(line):
      return value
  except json.JSONDecodeError:
    pass
  # White space around the value, or a mistake, which gets its message here.
  return json.loads(line)


def _json_text(line: str, field: str) -> str:
  try:
    record = _parse(line)
  except json.JSONDecodeError as error:
    raise ValueError(
      f"not JSON ({error.msg} at column {error.colno})"
    ) from None
  except RecursionError:
    raise ValueError("not JSON that can be read (nested too deep)") from None
  if not isinstance(record, dict):
    raise ValueError(f"{describe_json(record)}, not an object")
  if field not in record:
    fields = ", ".join(sorted(record)[:8]) or "nothing"
    raise ValueError(f'no "{field}" field (it has {fields})')
  text = record[field]
  if not isinstance(text, str):
    raise ValueError(f'"{field}" is {describe_json(text)}, not a string')
  if not text.isascii():
    try:
      text.encode()
    except UnicodeEncodeError:
      raise ValueError(f'"{field}" holds half a surrogate pair') from None
  return text
