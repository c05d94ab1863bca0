# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Sources: parts of a corpus, each read on its own, by any process."""

import abc
import dataclasses
import pathlib
from collections.abc import Callable, Iterator

from data_pipelines.corpora import stdlib_corpus
from data_pipelines.corpora.compression import COMPRESSIONS
from data_pipelines.corpora.cutting import parts
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.parquet_files import read_parquet
from data_pipelines.corpora.records import Reading, Tally
from data_pipelines.corpora.text_files import read_json_lines, read_text

STDLIB = "stdlib"
_READERS: dict[str, Callable[[File, Reading, Tally], Iterator[Document]]] = {
  ".txt": read_text,
  ".jsonl": read_json_lines,
  ".parquet": read_parquet,
}


@dataclasses.dataclass(frozen=True)
class Source(abc.ABC):
  """One part of a corpus; can be pickled, and depends on nothing global.

  Attributes:
    name: for messages and progress.
    size: bytes on disk that reading it takes, 0 where there are none.
    reading: which documents there are in it.
  """

  name: str
  size: int
  reading: Reading

  def read(self, tally: Tally) -> Iterator[Document]:
    """Documents with text in them, in a fixed order, none of them too long.

    Args:
      tally: counts what is read and what is left out. It may go on from
        another source.

    Raises:
      ValueError: what cannot be read, in one line.
    """
    least = self.reading.min_characters
    for whole in self._documents(tally):
      for document in parts(whole, tally):
        text = document.text
        if not text or text.isspace():
          tally.empty += 1
        elif least and len(text.strip()) < least:
          tally.short += 1
        else:
          yield document

  @abc.abstractmethod
  def _documents(self, tally: Tally) -> Iterator[Document]:
    """All documents, also the empty and the long ones."""


@dataclasses.dataclass(frozen=True)
class StdlibSource(Source):
  """The running Python's own prose."""

  def _documents(self, tally: Tally) -> Iterator[Document]:
    return stdlib_corpus.documents()


@dataclasses.dataclass(frozen=True)
class FileSource(Source):
  """One file of a known format.

  Attributes:
    file: where it is.
  """

  file: File

  def _documents(self, tally: Tally) -> Iterator[Document]:
    return _READERS[text_format(self.name)](self.file, self.reading, tally)


def is_known(name: str) -> bool:
  """Whether a file of this name can be read."""
  return _format(name) in _READERS


def text_format(name: str) -> str:
  """The suffix that says how to read the file, whatever the compression.

  Raises:
    ValueError: none does.
  """
  found = _format(name)
  if found not in _READERS:
    *others, last = _READERS
    raise ValueError(
      f"{name} is neither {' nor '.join(others)}, maybe with "
      f"{', '.join(COMPRESSIONS)}, nor {last}; rename or convert it"
    )
  return found


def _format(name: str) -> str:
  path = pathlib.PurePosixPath(name)
  suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSIONS]
  if not suffixes or (suffixes[-1] == ".parquet" != path.suffix):
    return ""
  return suffixes[-1]
