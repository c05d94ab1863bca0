# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of documents: the table of formats, and the files of a corpus."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from data_pipelines.corpora.arrow_files import read_arrow
from data_pipelines.corpora.compression import COMPRESSIONS, suffix_of
from data_pipelines.corpora.csv_files import read_csv, read_tsv
from data_pipelines.corpora.digests import digest_files
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.file_search import find_files
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.json_files import read_json_lines
from data_pipelines.corpora.parquet_files import read_parquet
from data_pipelines.corpora.reading import ReadCounts, ReadOptions
from data_pipelines.corpora.source import OpenedSources, Place, Source
from data_pipelines.corpora.text_files import read_text
from data_pipelines.corpora.wiki_files import read_wiki


class FileFormat(NamedTuple):
  """How files of one suffix are read.

  Attributes:
    read: yields the documents of a file in order, empty ones included.
    compressible: whether a suffix of `COMPRESSIONS` may follow.
    named_only: whether a folder does not stand for its files of this suffix:
      many are no text, unless they are compressed.
  """

  read: Callable[[File, ReadOptions, ReadCounts], Iterator[Document]]
  compressible: bool = True
  named_only: bool = False


_WIKI = "wiki_NN"  # stands for wiki_00 and so on, which have no suffix
FORMATS = {
  ".txt": FileFormat(read_text),
  ".jsonl": FileFormat(read_json_lines),
  ".ndjson": FileFormat(read_json_lines),
  ".json": FileFormat(read_json_lines, named_only=True),
  ".csv": FileFormat(read_csv),
  ".tsv": FileFormat(read_tsv),
  ".parquet": FileFormat(read_parquet, compressible=False),
  ".arrow": FileFormat(read_arrow, compressible=False),
  _WIKI: FileFormat(read_wiki),
}
_WIKI_NAME = re.compile(r"wiki_\d+")
# What the package datasets writes beside the files of a data set.
_CACHE = re.compile(r"cache-.*\.arrow")


@dataclasses.dataclass(frozen=True)
class FileSource(Source):
  """One file of a known format.

  Attributes:
    file: where the file is.
  """

  file: File

  @property
  def readable_on(self) -> Place:
    """Any machine for a file in a bucket, this one for a local file."""
    local = self.file.filesystem is None or self.name.startswith("file://")
    return "this machine" if local else "any machine"

  def stamp(self) -> Hashable:
    """Return the size and the version of the file; see `File.stamp`."""
    return self.file.stamp()

  def _documents(self, counts: ReadCounts) -> Iterator[Document]:
    read = FORMATS[file_format(self.name)].read
    return read(self.file, self.options, counts)


def open_files(parts: Sequence[str], options: ReadOptions) -> OpenedSources:
  """Find files by name, folder or glob; a file that is named twice comes once.

  Raises:
    ValueError: a part that names no file, or a file of an unknown format.
  """
  found, passed_over = dict[str, File](), dict[str, str]()
  for part in parts:
    named = find_files(part, is_known, options.exclude)
    for file in named.files:
      file_format(file.name)
      found[_place(file.name)] = file
    for path, label in named.passed_over.items():
      passed_over[_place(path)] = label
  files = list(found.values())
  return OpenedSources(
    [FileSource(file.name, file.size, options, file) for file in files],
    lambda: _identity(files),
    {path: passed_over[path] for path in passed_over if path not in found},
  )


def _place(name: str) -> str:
  return name if "://" in name else os.path.realpath(name)


def _identity(files: Sequence[File]) -> Mapping[str, Any]:
  """Hash content and formats in order; folders and names do not matter."""
  formats = [file_format(file.name) for file in files]
  return {"files": len(files), "sha256": digest_files(files, formats)}


def is_known(name: str) -> bool:
  """Return whether a folder stands for its files of this name, too."""
  found = _find_format(name)
  if not found or _CACHE.fullmatch(name.rpartition("/")[2]):
    return False
  return not FORMATS[found].named_only or suffix_of(name) in COMPRESSIONS


def file_format(name: str) -> str:
  """Return the suffix that tells the format, whatever the compression.

  Raises:
    ValueError: the file is of no known format.
  """
  found = _find_format(name)
  if not found:
    raise ValueError(
      f"{name} has no known format; rename or convert it to {endings()}"
    )
  return found


def endings() -> str:
  """Return the suffixes that are known, for help and error messages."""
  packed = [name for name, known in FORMATS.items() if known.compressible]
  plain = [name for name in FORMATS if name not in packed]
  return (
    f"{' '.join(packed)}, each also with {' '.join(COMPRESSIONS)}, or "
    f"{' '.join(plain)}"
  )


def _find_format(name: str) -> str:
  path = pathlib.PurePosixPath(name.lower())
  suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSIONS]
  last = suffixes[-1] if suffixes else ""
  if not suffixes and _WIKI_NAME.fullmatch(path.name.partition(".")[0]):
    return _WIKI
  if last not in FORMATS:
    return ""
  return last if FORMATS[last].compressible or last == path.suffix else ""
