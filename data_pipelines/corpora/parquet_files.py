# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read one column of a parquet file, a few rows at a time.

One page of the column is in memory at a time. By default pyarrow writes pages
of at least 1,024 rows: a few megabytes, unless the rows are whole books.
"""

from collections.abc import Iterator
from typing import Any

from bertjax.files import first_line
from data_pipelines.corpora import arrow_columns
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.reading import ReadCounts, ReadOptions, rows_at_once

_BUFFER = 1 << 20  # bytes


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
      yield from arrow_columns.documents(
        file.name, number, column, options, counts
      )
      number += len(column)
      counts.position = before + round(file.size * share)
  counts.position = before + file.size


def _batches(file: File, raw: Any, name: str) -> Iterator[tuple[float, Any]]:
  """Yield slices of a column, each with the share of the rows up to its end."""
  arrow, parquet = arrow_columns.load_pyarrow(file.name)
  try:
    # Without `buffer_size` pyarrow reads a whole row group at once.
    table = parquet.ParquetFile(
      raw,
      buffer_size=_BUFFER,
      pre_buffer=False,
      page_checksum_verification=True,
    )
    arrow_columns.check(file.name, table.schema_arrow, name)
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
