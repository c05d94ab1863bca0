# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of one column of a parquet file, a few rows at a time.

What must be held is a page of the column. pyarrow writes at least 1,024 rows
into one by default, which are few megabytes unless the rows are whole books.
"""

from collections.abc import Iterator
from typing import Any

from data_pipelines.corpora.documents import Document, plain
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.records import (
  Reading,
  Tally,
  first_line,
  rows_at_once,
)

_BUFFER = 1 << 20  # bytes
_NOT_TEXT = object()  # in place of a string that is not UTF-8


def read_parquet(
  file: File, reading: Reading, tally: Tally
) -> Iterator[Document]:
  """Documents of a .parquet file, one a row, in order, also the empty ones.

  Raises:
    ValueError: pyarrow is absent; there is no such column or it holds no
      text; a row without text or not UTF-8; a file that is damaged or cut off.
  """
  before, number = tally.position, 0
  with file.opened() as raw:
    for share, column in _columns(file, raw, reading.text_field):
      for value in _values(column):
        number += 1
        place = f"{file.name}:{number}"
        if isinstance(value, str):
          yield Document(place, plain(value))
        else:
          what = "not UTF-8" if value is _NOT_TEXT else "no text (null)"
          reading.bad(tally, place, what)
      tally.position = before + round(file.size * share)
  tally.position = before + file.size


def _columns(file: File, raw: Any, name: str) -> Iterator[tuple[float, Any]]:
  """Consecutive pieces of a column, and the share of the rows up to each."""
  arrow, parquet = _pyarrow(file)
  try:
    # Without a buffer it would read all of a row group at once.
    table = parquet.ParquetFile(
      raw,
      buffer_size=_BUFFER,
      pre_buffer=False,
      page_checksum_verification=True,
    )
    _check_column(file, table.schema_arrow, name)
    done, rows = 0, table.metadata.num_rows
    size = _column_size(table.metadata, name)
    for batch in table.iter_batches(
      rows_at_once(size, rows), columns=[name], use_threads=False
    ):
      done += len(batch)
      yield done / rows, batch.column(0)
  except (arrow.ArrowException, OSError) as error:
    raise ValueError(
      f"{file.name} is damaged, cut off or no parquet file ("
      f"{first_line(error)}); fetch it again"
    ) from None


def _pyarrow(file: File) -> tuple[Any, Any]:
  try:
    import pyarrow
    import pyarrow.parquet
  except ImportError:
    raise ValueError(
      f"{file.name} needs pyarrow; pip install 'bertjax[parquet]'"
    ) from None
  return pyarrow, pyarrow.parquet


def _check_column(file: File, schema: Any, name: str) -> None:
  from pyarrow import types

  if name not in schema.names:
    names = ", ".join(schema.names[:8]) or "none"
    raise ValueError(
      f"{file.name} has no column {name} (it has {names}); name the one with "
      "the text, as --text_field=NAME"
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
      f"{file.name}: column {name} is {kind}, not string; name the one with "
      "the text, as --text_field=NAME"
    )


def _column_size(metadata: Any, name: str) -> int:
  """Bytes of the whole column, decompressed."""
  size = 0
  for group in range(metadata.num_row_groups):
    row_group = metadata.row_group(group)
    for index in range(row_group.num_columns):
      column = row_group.column(index)
      if column.path_in_schema == name:
        size += column.total_uncompressed_size
  return size


def _values(column: Any) -> list[Any]:
  """Strings, None for a null, `_NOT_TEXT` for what is not UTF-8."""
  try:
    return column.to_pylist()
  except UnicodeDecodeError:
    return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
  try:
    return scalar.as_py()
  except UnicodeDecodeError:
    return _NOT_TEXT
