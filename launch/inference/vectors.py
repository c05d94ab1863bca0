# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of vectors: .npy, and .parquet, which is made from one at the end."""

import itertools
import pathlib

import numpy as np

from data_pipelines.corpora import arrow_columns
from data_pipelines.tasks.table_files import BadRow
from launch.inference.inputs import Source

SUFFIXES = (".npy", ".parquet")
_ROWS_AT_ONCE = 4096


class ArrayRows:
  """A .npy file with a row for each text, whose number is known.

  Args:
    path: the file.
    extent: rows of it that are certain.
    shape: rows and width.
  """

  def __init__(
    self, path: pathlib.Path, extent: int, shape: tuple[int, int]
  ) -> None:
    if extent:
      self._array = np.lib.format.open_memmap(path, mode="r+")
    else:
      self._array = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=shape
      )
    if self._array.shape != shape:
      raise ValueError(
        f"{path} has the shape {self._array.shape}, not {shape}; delete it"
      )
    self._next = extent

  def write(self, results: np.ndarray) -> None:
    """Write the next rows."""
    self._array[self._next : self._next + len(results)] = results
    self._next += len(results)

  def sync(self) -> int:
    """Have everything on the disk; return the number of rows."""
    self._array.flush()
    return self._next

  def close(self) -> None:
    """Close the file."""
    del self._array


def write_parquet(
  rows: pathlib.Path, path: pathlib.Path, source: Source
) -> None:
  """Write `line` and `embedding` of each row of a .npy file as parquet."""
  arrow, parquet = arrow_columns.load_pyarrow(str(path))
  array = np.lib.format.open_memmap(rows, mode="r")
  width = array.shape[1]
  schema = arrow.schema(
    [
      ("line", arrow.int64()),
      ("embedding", arrow.list_(arrow.float32(), width)),
    ]
  )
  lines = (row.line for row in source.rows() if not isinstance(row, BadRow))
  with parquet.ParquetWriter(path, schema) as writer:
    for start in range(0, len(array), _ROWS_AT_ONCE):
      part = np.ascontiguousarray(array[start : start + _ROWS_AT_ONCE])
      vectors = arrow.FixedSizeListArray.from_arrays(
        arrow.array(part.reshape(-1)), width
      )
      numbers = list(itertools.islice(lines, len(part)))
      writer.write_table(
        arrow.table(
          [arrow.array(numbers, arrow.int64()), vectors], schema=schema
        )
      )
