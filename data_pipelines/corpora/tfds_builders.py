# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Prepared data sets of TensorFlow Datasets, found by their files alone.

The code that prepared them is not needed, and neither is TensorFlow.
"""

import pathlib
from typing import Any

import numpy as np

from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.records import first_line

# In parquet files TFDS 4.9.10 loses records.
_FORMAT = "array_record"


def find_builder(part: str, name: str, data_dir: str) -> Any:
  """The builder of a prepared data set.

  Args:
    part: of the corpus, for messages.
    name: NAME[/CONFIG][:VERSION]; without the latter two those that TFDS takes.
    data_dir: where data sets are prepared; "" is TFDS' own default.

  Raises:
    ValueError: there is none, or it lies in files of another format; TFDS is
      absent.
  """
  if "://" in data_dir:
    raise ValueError(
      f"tfds_data_dir={data_dir} is not on this machine; mount or copy it"
    )
  tfds = load_tfds()
  from tensorflow_datasets.core import read_only_builder

  root = pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
  try:
    builder = read_only_builder.builder_from_files(name, data_dir=str(root))
  except ValueError:
    raise ValueError(
      f"corpus {part}: {_missing(root, name)}; prepare it, as {_how(name)}"
    ) from None
  try:
    return load_builder(str(builder.data_dir))
  except ValueError:
    found = getattr(builder.info.file_format, "value", "older")
    raise ValueError(
      f"corpus {part} lies in {found} files, of which TFDS loses records or "
      f"wants TensorFlow; prepare it in another folder, as {_how(name)}"
    ) from None


def load_builder(folder: str) -> Any:
  """The builder of the data set that lies in `folder`, version included.

  Raises:
    ValueError: it does not lie in array_record files.
  """
  return load_tfds().builder_from_directory(folder, file_format=_FORMAT)


def load_tfds() -> Any:
  """The package.

  Raises:
    ValueError: it is not installed.
  """
  try:
    # TFDS misses this one only where TensorFlow is absent, and late.
    import importlib_resources  # noqa: F401
    import tensorflow_datasets
  except ImportError as error:
    raise ValueError(
      f"corpus tfds: needs {error.name}; pip install 'bertjax[tfds]'"
    ) from None
  return tensorflow_datasets


def instructions(part: str, builder: Any, split: str) -> list[Any]:
  """Which examples of which files a split is.

  Raises:
    ValueError: there is no such split, or nothing in it.
  """
  splits = builder.info.splits
  try:
    found = splits[split].file_instructions
  except (ValueError, KeyError) as error:
    there = ", ".join(
      f"{name} ({splits[name].num_examples})" for name in splits
    )
    raise ValueError(
      f"corpus {part}: {first_line(error)}; the splits are {there}"
    ) from None
  if not sum(instruction.take for instruction in found):
    raise ValueError(f"corpus {part} holds no example; take another split")
  return found


def check_feature(part: str, builder: Any, name: str) -> None:
  """See that a feature is there and holds one text.

  Raises:
    ValueError: it does not.
  """
  features = builder.info.features
  names = list(features) if hasattr(features, "keys") else []
  if name not in names:
    raise ValueError(
      f"corpus {part} has no feature {name} (it has "
      f"{', '.join(names[:8]) or 'no named ones'}); name the one with the "
      "text, as --text_field=NAME"
    )
  feature = features[name]
  if feature.shape != () or not np.issubdtype(feature.np_dtype, np.object_):
    kind = first_line(ValueError(feature))
    raise ValueError(
      f"corpus {part}: feature {name} is {kind}, not one text; name the one "
      "with the text, as --text_field=NAME"
    )


def files(instructions: list[Any]) -> list[File]:
  """The files of a split, each once, after a count of their records.

  Raises:
    ValueError: one is absent, damaged or holds another number of records than
      TFDS has noted.
  """
  from array_record.python.array_record_module import ArrayRecordReader

  found = {}
  for instruction in instructions:
    path = str(instruction.filename)
    if path in found:
      continue
    try:
      found[path] = File(path, pathlib.Path(path).stat().st_size, path)
      reader = ArrayRecordReader(path)
      records = reader.num_records()
      reader.close()
    except Exception as error:  # the C++ below has exceptions of its own
      raise ValueError(
        f"{path} is absent, damaged or cut off ({first_line(error)}); prepare "
        "it again"
      ) from None
    if records != instruction.examples_in_shard:
      raise ValueError(
        f"{path} holds {records} records, not the "
        f"{instruction.examples_in_shard} noted beside it; prepare it again"
      )
  return list(found.values())


def _how(name: str) -> str:
  # The command line of TFDS wants TensorFlow; this does not.
  return (
    f"tfds.builder({name!r}, data_dir=DIR, file_format={_FORMAT!r})"
    ".download_and_prepare()"
  )


def _missing(root: pathlib.Path, name: str) -> str:
  """Which step to the data set there is not, and what there is instead."""
  head, _, version = name.partition(":")
  dataset, _, config = head.partition("/")
  folder = root
  for kind, step in (
    ("data set", dataset),
    ("configuration", config),
    ("version", version),
  ):
    if step and not (folder / step).is_dir():
      return f"no {kind} {step} in {folder} (there is {_folders(folder)})"
    folder /= step
  return f"nothing prepared in {folder} (there is {_folders(folder)})"


def _folders(folder: pathlib.Path) -> str:
  if not folder.is_dir():
    return "no such folder"
  names = sorted(path.name for path in folder.iterdir() if path.is_dir())
  # What was fetched is no data set.
  return (
    ", ".join(n for n in names if n[0] != "." and n != "downloads") or "none"
  )
