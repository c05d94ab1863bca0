# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of vectors: .npy, and .parquet, which is made from one at the end."""

import errno
import itertools
import os
import pathlib
from typing import BinaryIO

import numpy as np

from data_pipelines.corpora import arrow_columns
from data_pipelines.tasks.table_files import BadRow
from launch.inference.inputs import Source

SUFFIXES = (".npy", ".parquet")
_ROWS_AT_ONCE = 4096
_ZEROS = bytes(2**20)
# What file systems answer that cannot reserve space.
_CANNOT_RESERVE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class ArrayRows:
  """A .npy file with a row for each text, whose number is known.

  Its space is reserved, because a process that writes to a mapped file dies of
  a signal (SIGBUS) where the disk is full.

  Args:
    path: the file.
    extent: rows of it that are certain.
    shape: rows and width.

  Raises:
    OSError: the disk has not that much space.
    ValueError: the file has another shape.
  """

  def __init__(
    self, path: pathlib.Path, extent: int, shape: tuple[int, int]
  ) -> None:
    if not extent:
      _make(path, shape)
    self._array = np.lib.format.open_memmap(path, mode="r+")
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


def _make(path: pathlib.Path, shape: tuple[int, int]) -> None:
  """Write the .npy file of an array of zeros, space included."""
  dtype = np.dtype(np.float32)
  header = {
    "descr": np.lib.format.dtype_to_descr(dtype),
    "fortran_order": False,
    "shape": shape,
  }
  with path.open("wb") as stream:
    try:
      np.lib.format.write_array_header_1_0(stream, header)
      stream.flush()
      _reserve(stream, dtype.itemsize * shape[0] * shape[1])
    except OSError:
      stream.truncate(0)  # others need the little that there is
      raise


def _reserve(stream: BinaryIO, size: int) -> None:
  """Append zeros to a file; their space on the disk is then this file's."""
  start = stream.tell()
  if hasattr(os, "posix_fallocate"):  # not on macOS
    try:
      os.posix_fallocate(stream.fileno(), 0, start + size)
    except OSError as error:
      if error.errno not in _CANNOT_RESERVE:
        raise
    else:
      return
  for written in range(0, size, len(_ZEROS)):
    stream.write(_ZEROS[: size - written])
  stream.flush()


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
