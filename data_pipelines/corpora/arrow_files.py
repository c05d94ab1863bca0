# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read one column of an Arrow file, a batch of rows at a time.

These are the files of a folder of `datasets.save_to_disk` (Arrow's stream
format), and Feather files (its file format).
"""

from collections.abc import Iterator
from typing import Any

from bertjax.files import first_line
from data_pipelines.corpora import arrow_columns
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.reading import ReadCounts, ReadOptions, rows_at_once

_FILE_FORMAT = b"ARROW1"


def read_arrow(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of an .arrow file, one a row, empty ones included.

  Raises:
    ValueError: pyarrow is not installed; the column does not exist or is not
      text; a row that is null or not UTF-8; a damaged or truncated file.
  """
  before, number = counts.position, 0
  with file.opened() as raw:
    for column in _columns(file, raw, options.text_field):
      step = rows_at_once(column.nbytes, len(column))
      for start in range(0, len(column), step):
        part = column.slice(start, step)
        yield from arrow_columns.documents(
          file.name, number, part, options, counts
        )
        number += len(part)
      counts.position = before + min(raw.tell(), file.size)
  counts.position = before + file.size


def _columns(file: File, raw: Any, name: str) -> Iterator[Any]:
  arrow, _ = arrow_columns.load_pyarrow(file.name)
  try:
    for batch in _batches(arrow, raw, file, name):
      yield batch.column(name)
  except (arrow.ArrowException, OSError) as error:
    raise ValueError(
      f"{file.name} is damaged, truncated or not an Arrow file "
      f"({first_line(error)}); fetch it again"
    ) from None


def _batches(arrow: Any, raw: Any, file: File, name: str) -> Iterator[Any]:
  if raw.peek(len(_FILE_FORMAT)).startswith(_FILE_FORMAT):
    table = arrow.ipc.open_file(raw)
    arrow_columns.check(file.name, table.schema, name)
    for index in range(table.num_record_batches):
      yield table.get_batch(index)
  else:
    stream = arrow.ipc.open_stream(raw)
    arrow_columns.check(file.name, stream.schema, name)
    yield from stream
