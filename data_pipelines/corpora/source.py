# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A part of a corpus that any process can read by itself."""

import abc
import dataclasses
import types
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.long_documents import split_long
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

# Text that is read "on this Python" depends on the interpreter.
Place = Literal["any machine", "this machine", "this Python"]


@dataclasses.dataclass(frozen=True)
class Source(abc.ABC):
  """One part of a corpus; can be pickled, and depends on no global state.

  Attributes:
    name: name for messages and progress.
    size: bytes on disk that are read, 0 where nothing is on disk.
    options: what a document is, and which documents are kept.
  """

  name: str
  size: int
  options: ReadOptions

  @property
  @abc.abstractmethod
  def readable_on(self) -> Place:
    """Where this text can be read."""

  def stamp(self) -> Hashable:
    """Return what is another value after the text has changed."""
    return None

  def read(self, counts: ReadCounts) -> Iterator[Document]:
    """Yield documents with text in a fixed order, long ones cut.

    Args:
      counts: updated with what is read and left out; may hold the counts of
        other sources already.

    Raises:
      ValueError: text that cannot be read, in one line.
    """
    least = self.options.min_characters
    for whole in self._documents(counts):
      for document in split_long(whole, counts):
        text = document.text
        if not text or text.isspace():
          counts.empty += 1
        elif least and len(text.strip()) < least:
          counts.short += 1
        else:
          yield document

  @abc.abstractmethod
  def _documents(self, counts: ReadCounts) -> Iterator[Document]:
    """Yield all documents, empty and long ones included."""


class OpenedSources(NamedTuple):
  """All parts of a corpus that are of one kind.

  Attributes:
    sources: the sources of these parts, in the order of reading.
    identity: returns what identifies their text in a manifest, without paths.
    passed_over: what lies below the named folders and is not read, by path;
      see `folders.Sieve`.
  """

  sources: Sequence[Source]
  identity: Callable[[], Mapping[str, Any]]
  passed_over: Mapping[str, str] = types.MappingProxyType({})
