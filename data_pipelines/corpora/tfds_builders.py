# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Open data sets that TensorFlow Datasets (TFDS) has prepared on disk.

Neither the code that prepared them nor TensorFlow is needed.
"""

import pathlib
from typing import Any

import numpy as np

from bertjax.files import first_line
from data_pipelines.corpora.filesystems import File

# TFDS 4.9.10 loses records of parquet files.
_FORMAT = "array_record"


def find_builder(place: str, name: str, data_dir: str) -> Any:
  """Return the builder of a prepared data set.

  Args:
    place: what is to be read, such as "corpus tfds:NAME:SPLIT", for messages.
    name: NAME[/CONFIG][:VERSION]; TFDS chooses the configuration and the
      version where they are not given.
    data_dir: folder of prepared data sets; "" is TFDS's default.

  Raises:
    ValueError: it is not prepared, or not in array_record files; TFDS is not
      installed.
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
      f"{place}: {_missing(root, name)}; prepare it: {_command(name)}"
    ) from None
  try:
    return load_builder(str(builder.data_dir))
  except ValueError:
    found = getattr(builder.info.file_format, "value", "older")
    raise ValueError(
      f"{place} is prepared in {found} files, which TFDS cannot read "
      "completely, or only with TensorFlow; prepare it in another folder: "
      f"{_command(name)}"
    ) from None


def load_builder(folder: str) -> Any:
  """Return the builder of the data set in `folder`, version included.

  Raises:
    ValueError: the files are not array_record files.
  """
  return load_tfds().builder_from_directory(folder, file_format=_FORMAT)


def load_tfds() -> Any:
  """Import and return `tensorflow_datasets`.

  Raises:
    ValueError: it is not installed.
  """
  try:
    # TFDS imports this package late, and only without TensorFlow.
    import importlib_resources  # noqa: F401
    import tensorflow_datasets
  except ImportError as error:
    raise ValueError(
      f"tfds: needs {error.name}; pip install 'bertjax[tfds]'"
    ) from None
  return tensorflow_datasets


def find_instructions(place: str, builder: Any, split: str) -> list[Any]:
  """Return which examples of which files make up a split.

  Raises:
    ValueError: the split does not exist or is empty.
  """
  splits = builder.info.splits
  try:
    found = splits[split].file_instructions
  except (ValueError, KeyError) as error:
    there = ", ".join(
      f"{name} ({splits[name].num_examples})" for name in splits
    )
    raise ValueError(
      f"{place}: {first_line(error)}; the splits are {there}"
    ) from None
  if not sum(instruction.take for instruction in found):
    raise ValueError(f"{place} is empty; choose another split")
  return found


def feature_names(builder: Any) -> list[str]:
  """Return the names of the features of an example."""
  features = builder.info.features
  return list(features) if hasattr(features, "keys") else []


def check_feature(place: str, builder: Any, name: str) -> None:
  """Check that a feature exists and holds one text.

  Raises:
    ValueError: it does not.
  """
  names = feature_names(builder)
  if name not in names:
    raise ValueError(
      f"{place} has no feature {name} (it has "
      f"{', '.join(names[:8]) or 'no named features'}); name the text feature "
      "with --text_field=NAME"
    )
  feature = builder.info.features[name]
  if feature.shape != () or not np.issubdtype(feature.np_dtype, np.object_):
    kind = first_line(ValueError(feature))
    raise ValueError(
      f"{place}: feature {name} is {kind}, not one text; name the text "
      "feature with --text_field=NAME"
    )


def check_files(instructions: list[Any]) -> list[File]:
  """Return the distinct files of a split, after counting their records.

  Raises:
    ValueError: a file is missing or damaged, or its number of records is not
      the one that TFDS has noted.
  """
  from array_record.python.array_record_module import ArrayRecordReader

  found = {}
  for instruction in instructions:
    path = str(instruction.filename)
    if path in found:
      continue
    try:
      found[path] = File.at(path)
      reader = ArrayRecordReader(path)
      records = reader.num_records()
      reader.close()
    except Exception as error:  # array_record's C++ raises its own types
      raise ValueError(
        f"{path} is missing, damaged or truncated ({first_line(error)}); "
        "prepare it again"
      ) from None
    if records != instruction.examples_in_shard:
      raise ValueError(
        f"{path} has {records} records, but {instruction.examples_in_shard} "
        "are noted in its dataset_info.json; prepare it again"
      )
  return list(found.values())


def _command(name: str) -> str:
  # The command line of TFDS needs TensorFlow; this call does not.
  return (
    f"tfds.builder({name!r}, data_dir=DIR, file_format={_FORMAT!r})"
    ".download_and_prepare()"
  )


def _missing(root: pathlib.Path, name: str) -> str:
  """Name the first folder of the data set that is missing, and its siblings."""
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
  # TFDS keeps the raw downloads beside the data sets.
  return (
    ", ".join(n for n in names if n[0] != "." and n != "downloads") or "none"
  )
