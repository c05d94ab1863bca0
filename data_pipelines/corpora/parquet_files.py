# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read one column of a parquet file, a few rows at a time.

One page of the column is in memory at a time. By default pyarrow writes pages
of at least 1,024 rows: a few megabytes, unless the rows are whole books.
"""

from collections.abc import Iterator
from typing import Any

from bertjax.files import first_line
from data_pipelines.corpora.documents import Document, clean_text
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.reading import ReadCounts, ReadOptions, rows_at_once

_BUFFER = 1 << 20  # bytes
_NOT_UTF8 = object()  # stands for a string that is not UTF-8


def read_parquet(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of a .parquet file, one a row, empty ones included.

  Raises:
    ValueError: pyarrow is not installed; the column does not exist or is not
      text; a row that is null or not UTF-8; a damaged or truncated file.
  """
  before, number = counts.position, 0
  with file.opened() as raw:
    for share, column in _batches(file, raw, options.text_field):
      for value in _values(column):
        number += 1
        place = f"{file.name}:{number}"
        if isinstance(value, str):
          yield Document(place, clean_text(value))
        else:
          reason = "not UTF-8" if value is _NOT_UTF8 else "no text (null)"
          options.skip_or_raise(counts, place, reason)
      counts.position = before + round(file.size * share)
  counts.position = before + file.size


def _batches(file: File, raw: Any, name: str) -> Iterator[tuple[float, Any]]:
  """Yield slices of a column, each with the share of the rows up to its end."""
  arrow, parquet = _pyarrow(file)
  try:
    # Without `buffer_size` pyarrow reads a whole row group at once.
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
      f"{file.name} is damaged, truncated or not a parquet file "
      f"({first_line(error)}); fetch it again"
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
      f"{file.name} has no column {name} (it has {names}); name the text "
      "column with --text_field=NAME"
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
      f"{file.name}: column {name} is {kind}, not string; name the text "
      "column with --text_field=NAME"
    )


def _column_size(metadata: Any, name: str) -> int:
  """Return the bytes of the whole column, decompressed."""
  size = 0
  for group in range(metadata.num_row_groups):
    row_group = metadata.row_group(group)
    for index in range(row_group.num_columns):
      column = row_group.column(index)
      if column.path_in_schema == name:
        size += column.total_uncompressed_size
  return size


def _values(column: Any) -> list[Any]:
  """Return strings, None for a null, `_NOT_UTF8` where decoding fails."""
  try:
    return column.to_pylist()
  except UnicodeDecodeError:
    return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
  try:
    return scalar.as_py()
  except UnicodeDecodeError:
    return _NOT_UTF8
