# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of data sets of the Hugging Face hub, through `datasets`.

`datasets` downloads a data set once and keeps it in its cache (HF_HOME); where
there is no network it takes what is in the cache.
"""

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bertjax.files import first_line
from data_pipelines.corpora import arrow_columns, digests
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.reading import ReadCounts, ReadOptions, rows_at_once
from data_pipelines.corpora.source import OpenedSources, Place, Source

USAGE = "hf:NAME[:CONFIG]:SPLIT"
EXAMPLES = 100_000  # per source, so that workers share a large split

_PREFIX = "hf:"
# A slice in brackets may have a colon.
_SPEC = re.compile(r"([^:\[\]]+)(?::([^:\[\]]+))?:([^:\[\]]+(?:\[.*\].*)?)")


@dataclasses.dataclass(frozen=True)
class HfSource(Source):
  """Consecutive examples of a split.

  Attributes:
    dataset: these examples, a `datasets.Dataset` of the one column.
    start: number of the first example in the split.
  """

  dataset: Any
  start: int

  @property
  def readable_on(self) -> Place:
    """This machine, which has the cache of `datasets`."""
    return "this machine"

  def _documents(self, counts: ReadCounts) -> Iterator[Document]:
    before, done = counts.position, 0
    for column in _columns(self.dataset, self.options.text_field, self.size):
      # Examples are numbered from 0, as `datasets` does.
      first = self.start + done - 1
      yield from arrow_columns.documents(
        self.name, first, column, self.options, counts
      )
      done += len(column)
      counts.position = before + self.size * done // len(self.dataset)


@dataclasses.dataclass(frozen=True)
class HfSplit:
  """A split, or a slice or sum of splits, as sources.

  Attributes:
    name: name of the data set, and of its configuration if one was given.
    split: split in the syntax of `datasets`.
    dataset: the split, a `datasets.Dataset` of the one column.
    sources: sources that read the examples, in order.
  """

  name: str
  split: str
  dataset: Any
  sources: list[HfSource]

  def identity(self) -> dict[str, Any]:
    """Return what identifies the text in a manifest, without paths.

    The text is hashed and not the files, which differ between versions of
    `datasets`.
    """
    files = [File.at(file["filename"]) for file in self.dataset.cache_files]
    (field,) = self.dataset.column_names
    salt = ["hf", self.name, self.split, field]
    return {
      "name": self.name,
      "split": self.split,
      "examples": len(self.dataset),
      "sha256": digests.remember(files, salt, self._digest),
    }

  def _digest(self) -> str:
    digest = hashlib.sha256()
    size = sum(source.size for source in self.sources)
    for column in _columns(self.dataset, self.dataset.column_names[0], size):
      for text in column.to_pylist():
        data = (text or "").encode(errors="surrogatepass")
        digest.update(f"{-1 if text is None else len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()


def open_splits(parts: Sequence[str], options: ReadOptions) -> OpenedSources:
  """Open the splits that the parts of a corpus name; see `open_split`."""
  splits = [open_split(part, options) for part in parts]
  return OpenedSources(
    [source for split in splits for source in split.sources],
    lambda: {"hf": [split.identity() for split in splits]},
  )


def open_split(part: str, options: ReadOptions) -> HfSplit:
  """Open the split that "hf:NAME[:CONFIG]:SPLIT" names.

  NAME is a data set of the hub, or a folder of data files.

  Raises:
    ValueError: the data set, configuration, split or column does not exist or
      cannot be fetched; `datasets` is not installed.
  """
  place = f"corpus {part}"
  named, split, dataset = load_split(place, part)
  field = options.text_field
  arrow_columns.check(place, dataset.features.arrow_schema, field)
  dataset = dataset.select_columns([field])
  size = sum(os.path.getsize(file["filename"]) for file in dataset.cache_files)
  sources = []
  for start in range(0, len(dataset), EXAMPLES):
    stop = min(start + EXAMPLES, len(dataset))
    share = size * stop // len(dataset) - size * start // len(dataset)
    examples = dataset.select(range(start, stop))
    sources.append(HfSource(part, share, options, examples, start))
  return HfSplit(named, split, dataset, sources)


def load_split(place: str, part: str) -> tuple[str, str, Any]:
  """Load the split that "hf:NAME[:CONFIG]:SPLIT" names.

  Args:
    place: what is to be read, such as "corpus hf:NAME:SPLIT", for messages.
    part: the name.

  Returns:
    The name with its configuration, the split's name, and the split as a
    `datasets.Dataset`.

  Raises:
    ValueError: it does not exist, is empty or cannot be fetched; `datasets` is
      not installed.
  """
  found = _SPEC.fullmatch(part.removeprefix(_PREFIX))
  if not found:
    raise ValueError(
      f"{place} names no split; give {USAGE}, for example "
      "hf:wikimedia/wikipedia:20231101.en:train[:10%]"
    )
  name, config, split = found.groups()
  dataset = _load(place, name, config, split)
  if not len(dataset):
    raise ValueError(f"{place} is empty; choose another split")
  return f"{name}:{config}" if config else name, split, dataset


def _load(place: str, name: str, config: str | None, split: str) -> Any:
  try:
    import datasets
  except ImportError:
    raise ValueError(
      f"{place} needs datasets; pip install 'bertjax[datasets]'"
    ) from None
  try:
    return datasets.load_dataset(name, config, split=split)
  except OSError as error:  # a network failure, a file that is not there
    raise ValueError(
      f"{place} cannot be loaded ({first_line(error)}); check the name "
      "and the network, or copy the cache (HF_HOME) of a machine that has it"
    ) from None
  except Exception as error:  # of `datasets` and of what reads its files
    raise ValueError(f"{place}: {first_line(error)}") from None


def _columns(dataset: Any, name: str, size: int) -> Iterator[Any]:
  """Yield a column of a data set of `size` bytes, a few rows at a time."""
  rows, count = dataset.with_format("arrow"), len(dataset)
  step = rows_at_once(size, count)
  for start in range(0, count, step):
    yield rows[start : min(start + step, count)].column(name)
