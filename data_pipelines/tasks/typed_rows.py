# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of tables whose columns have types: parquet, and named data sets.

A label that the source stores as the number of a class comes back as the name
of the class, and as None where it is −1, which stands for no label. So does
each number of a sequence. Sequences are lists, and structs are mappings.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bertjax.config.finetune import HUBS
from bertjax.files import first_line
from data_pipelines.corpora import (
  arrow_columns,
  hf_corpus,
  tfds_builders,
  tfds_corpus,
)

_ROWS_AT_ONCE = 1024


class TypedTable(NamedTuple):
  """A table, before its rows are read.

  Attributes:
    names: names of all columns.
    first: number of the first row: 1 in a file, and 0 in a data set, as its
      library counts.
    rows: the rows, with those of the chosen columns that there are.
  """

  names: tuple[str, ...]
  first: int
  rows: Iterator[Mapping[str, Any]]


def is_typed(path: str) -> bool:
  """Return whether `open_table` reads a path."""
  return is_name(path) or pathlib.Path(path).suffix.lower() == ".parquet"


def is_name(path: str) -> bool:
  """Return whether a path is the name of a data set."""
  return path.startswith(HUBS)


def open_table(path: str, columns: Sequence[str]) -> TypedTable:
  """Open a .parquet file, "tfds:NAME:SPLIT" or "hf:NAME[:CONFIG]:SPLIT".

  TFDS reads what it has prepared in TFDS_DATA_DIR, and `datasets` what is in
  its cache or on the hub.

  Args:
    path: the file or the name.
    columns: the columns to read.

  Raises:
    ValueError: there is no such file, data set, configuration or split; a file
      is damaged; a package is not installed.
  """
  if path.startswith("tfds:"):
    return _open_tfds(path, columns)
  if path.startswith("hf:"):
    return _open_hf(path, columns)
  return _open_parquet(path, columns)


def _open_parquet(path: str, columns: Sequence[str]) -> TypedTable:
  arrow, parquet = arrow_columns.load_pyarrow(path)
  try:
    table = parquet.ParquetFile(path, page_checksum_verification=True)
  except (arrow.ArrowException, OSError) as error:
    raise _damaged(path, error) from None
  names = tuple(table.schema_arrow.names)
  chosen = [name for name in columns if name in names]
  classes = _noted_classes(table.schema_arrow.metadata or {})

  def rows() -> Iterator[Mapping[str, Any]]:
    try:
      for batch in table.iter_batches(_ROWS_AT_ONCE, columns=chosen):
        for row in _rows_of(batch):
          yield _named_row(path, row, classes)
    except (arrow.ArrowException, OSError) as error:
      raise _damaged(path, error) from None

  return TypedTable(names, 1, rows())


def _noted_classes(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
  """Return the names of classes of each column that is a sequence of them.

  They are what `datasets` notes in a file that it writes. The number of a class
  that stands alone is a label of its own in such a file, as in any other.
  """
  try:
    features = json.loads(metadata[b"huggingface"])["info"]["features"].items()
  except (KeyError, ValueError, TypeError, AttributeError):
    return {}
  columns = {name: _names_inside(feature) for name, feature in features}
  return {name: names for name, names in columns.items() if names}


def _names_inside(feature: Any) -> list[str] | None:
  """Return the names of the classes that a noted sequence has."""
  inner = None
  if isinstance(feature, list):  # a sequence in older releases of `datasets`
    inner = feature[0] if feature else None
  elif isinstance(feature, Mapping):
    inner = feature.get("feature")
  return inner.get("names") if isinstance(inner, Mapping) else None


def _damaged(path: str, error: Exception) -> ValueError:
  return ValueError(
    f"{path} is damaged, truncated or not a parquet file "
    f"({first_line(error)}); fetch it again"
  )


def _open_hf(path: str, columns: Sequence[str]) -> TypedTable:
  _, _, dataset = hf_corpus.load_split(path, path)
  names = tuple(dataset.column_names)
  chosen = [name for name in columns if name in names]
  classes = {name: _class_names(dataset.features[name]) for name in chosen}
  arrow = dataset.select_columns(chosen).with_format("arrow")

  def rows() -> Iterator[Mapping[str, Any]]:
    for start in range(0, len(dataset), _ROWS_AT_ONCE):
      stop = min(start + _ROWS_AT_ONCE, len(dataset))
      for row in _rows_of(arrow[start:stop]):
        yield _named_row(path, row, classes)

  return TypedTable(names, 0, rows())


def _rows_of(table: Any) -> Iterator[Mapping[str, Any]]:
  """Yield the rows of a table or a record batch of pyarrow."""
  names = table.schema.names
  values = [arrow_columns.values(table.column(name)) for name in names]
  for row in zip(*values, strict=True):
    yield dict(zip(names, row, strict=True))


def _open_tfds(path: str, columns: Sequence[str]) -> TypedTable:
  name, split = tfds_corpus.parse(path, path)
  builder = tfds_builders.find_builder(path, name, "")
  instructions = tfds_builders.find_instructions(path, builder, split)
  tfds_builders.check_files(instructions)
  names = tuple(tfds_builders.feature_names(builder))
  chosen = [name for name in columns if name in names]
  classes = {name: _class_names(builder.info.features[name]) for name in chosen}

  def rows() -> Iterator[Mapping[str, Any]]:
    examples = tfds_corpus.open_examples(str(builder.data_dir), split, chosen)
    for start in range(0, len(examples), _ROWS_AT_ONCE):
      stop = min(start + _ROWS_AT_ONCE, len(examples))
      for example in examples.__getitems__(range(start, stop)):
        row = {name: _plain(example[name]) for name in chosen}
        yield _named_row(path, row, classes)

  return TypedTable(names, 0, rows())


def _class_names(feature: Any) -> Sequence[str] | None:
  """Return the names of a class, or of a sequence of it; None for others."""
  if isinstance(feature, list):  # a sequence in older releases of `datasets`
    feature = feature[0]
  inner = getattr(feature, "feature", None)
  return getattr(feature, "names", None) or getattr(inner, "names", None)


def _plain(value: Any) -> Any:
  """Return a value of TFDS as Python has it; bytes are text."""
  if isinstance(value, Mapping):
    return {name: _plain(each) for name, each in value.items()}
  if isinstance(value, np.ndarray | list):
    return [_plain(each) for each in value]
  if isinstance(value, bytes):
    try:
      return value.decode()
    except UnicodeDecodeError:
      return value
  if isinstance(value, np.generic):
    return value.item()
  return value


def _named_row(
  path: str,
  row: Mapping[str, Any],
  classes: Mapping[str, Sequence[str] | None],
) -> dict[str, Any]:
  """Return a row with the names of classes for their numbers."""
  try:
    return {name: _named(v, classes.get(name)) for name, v in row.items()}
  except ValueError as error:
    raise ValueError(f"{path} {error}") from None


def _named(value: Any, classes: Sequence[str] | None) -> Any:
  if classes is None:
    return value
  if isinstance(value, list):
    return [_named(each, classes) for each in value]
  if not isinstance(value, int):
    return value
  if value >= len(classes):
    raise ValueError(
      f"has the class number {value} in a column with the names of "
      f"{len(classes)} classes; write it again, with names as text"
    )
  return classes[value] if value >= 0 else None
