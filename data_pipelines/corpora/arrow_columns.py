# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Columns of text in the memory of pyarrow."""

from collections.abc import Iterator
from typing import Any

from data_pipelines.corpora.documents import Document, clean_text
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

_NOT_UTF8 = object()  # stands for a string that is not UTF-8


def load_pyarrow(name: str) -> tuple[Any, Any]:
  """Import `pyarrow` and `pyarrow.parquet` to read the file `name`.

  Raises:
    ValueError: pyarrow is not installed.
  """
  try:
    import pyarrow
    import pyarrow.parquet
  except ImportError:
    raise ValueError(
      f"{name} needs pyarrow; pip install 'bertjax[parquet]'"
    ) from None
  return pyarrow, pyarrow.parquet


def check(place: str, schema: Any, name: str) -> None:
  """Check that a table has one column of this name, and that it is text.

  Raises:
    ValueError: it has not.
  """
  from pyarrow import types

  if schema.names.count(name) != 1:
    names = ", ".join(schema.names[:8]) or "none"
    what = "several columns" if name in schema.names else "no column"
    raise ValueError(
      f"{place} has {what} {name} (it has {names}); name the text column with "
      "--text_field=NAME"
    )
  kind = inner = schema.field(name).type
  if types.is_dictionary(inner):
    inner = inner.value_type
  if not (
    types.is_string(inner)
    or types.is_large_string(inner)
    or types.is_string_view(inner)
  ):
    raise ValueError(
      f"{place}: column {name} is {kind}, not string; name the text column "
      "with --text_field=NAME"
    )


def documents(
  place: str,
  done: int,
  column: Any,
  options: ReadOptions,
  counts: ReadCounts,
) -> Iterator[Document]:
  """Yield a document for each row of a column, or count it as a bad record.

  Args:
    place: name of the file or data set.
    done: number of rows before the column's first.
    column: an array of pyarrow.
    options: whether bad rows are skipped.
    counts: updated with the skipped rows.

  Raises:
    ValueError: a row that is null or not UTF-8.
  """
  for number, value in enumerate(values(column), done + 1):
    name = f"{place}:{number}"
    if isinstance(value, str):
      yield Document(name, clean_text(value, counts))
    else:
      reason = "not UTF-8" if value is _NOT_UTF8 else "no text (null)"
      options.skip_or_raise(counts, name, reason)


def values(column: Any) -> list[Any]:
  """Return the values, None for a null, an object where decoding fails."""
  try:
    return column.to_pylist()
  except UnicodeDecodeError:
    return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
  try:
    return scalar.as_py()
  except UnicodeDecodeError:
    return _NOT_UTF8
