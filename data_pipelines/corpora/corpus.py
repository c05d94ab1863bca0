# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A corpus: documents of files, buckets and named sources, read in order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from data_pipelines.corpora import (
  file_corpus,
  folders,
  hf_corpus,
  stdlib_corpus,
  tfds_corpus,
)
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.reading import ReadCounts, ReadOptions
from data_pipelines.corpora.source import OpenedSources, Source


class SourceKind(NamedTuple):
  """How parts of a corpus of one kind are opened.

  Attributes:
    open: opens all parts of this kind together.
    usage: what to type, for help and error messages.
  """

  open: Callable[[Sequence[str], ReadOptions], OpenedSources]
  usage: str


_FILES = ""
# Name or prefix of a part of the specification → how the part is opened. Any
# other part names files. Sources are read in the order of this table.
KINDS = {
  "stdlib": SourceKind(stdlib_corpus.open_stdlib, "stdlib"),
  _FILES: SourceKind(
    file_corpus.open_files,
    f"files ({file_corpus.endings()}), folders or globs of them, also in "
    "buckets (gs://BUCKET/*.jsonl.gz)",
  ),
  "tfds:": SourceKind(tfds_corpus.open_splits, tfds_corpus.USAGE),
  "hf:": SourceKind(hf_corpus.open_splits, hf_corpus.USAGE),
}
USAGE = "; ".join(kind.usage for kind in KINDS.values())


class Corpus:
  """Documents named by a specification; iterating reads them.

  Attributes:
    spec: comma-separated parts, each of a kind in `KINDS`.
    sources: the sources of all parts, in the order of reading.
    size: bytes on disk of all sources together, 0 for "stdlib".
    counts: what the latest iteration has read and left out.
    passed_over: how many files and folders below the named folders are not
      read, by suffix or by what they are.
  """

  def __init__(self, spec: str, **options: Any) -> None:
    """Find the sources; no document is read yet.

    Args:
      spec: see `Corpus.spec`.
      options: fields of `ReadOptions`.

    Raises:
      ValueError: a part that names nothing, a file of an unknown format, a
        data set that is not there, or an option out of range.
    """
    self.spec = spec
    self.counts = ReadCounts()
    self._options = ReadOptions(**options)
    self._opened = [
      KINDS[name].open(parts, self._options)
      for name, parts in _parts_by_kind(spec).items()
      if parts
    ]
    self.sources: list[Source] = [
      source for opened in self._opened for source in opened.sources
    ]
    self.size = sum(source.size for source in self.sources)
    self._stamps = [source.stamp() for source in self.sources]
    self.passed_over = folders.count_labels(
      label for opened in self._opened for label in opened.passed_over.values()
    )

  def __iter__(self) -> Iterator[Document]:
    """Yield documents with text, source after source.

    Raises:
      ValueError: text that cannot be read; see `Source.read`.
    """
    self.counts = ReadCounts()
    for source in self.sources:
      yield from source.read(self.counts)

  @property
  def share_read(self) -> float | None:
    """Share of the bytes on disk read so far; None where `size` is 0."""
    return self.counts.position / self.size if self.size else None

  def check_unchanged(self) -> None:
    """Raise a `ValueError` where a file has changed since it was found.

    Its identity was hashed then, and is that of other text now.
    """
    for source, stamp in zip(self.sources, self._stamps, strict=True):
      if source.stamp() != stamp:
        raise ValueError(
          f"{source.name} was changed while it was read; copy it, or wait "
          "until nothing writes to it, and prepare it again"
        )

  def identity(self) -> dict[str, Any]:
    """Return what identifies the text in a manifest, without paths.

    The content of files is hashed, once as long as they stay as they are; see
    `digests`. An option is part of the identity only where it is not the
    default.
    """
    options = self._options
    identity: dict[str, Any] = {"documents": options.documents}
    if options.text_field != ReadOptions.text_field:
      identity["text_field"] = options.text_field
    if options.min_characters != ReadOptions.min_characters:
      identity["min_characters"] = options.min_characters
    for opened in self._opened:
      identity |= opened.identity()
    return identity


def _parts_by_kind(spec: str) -> dict[str, list[str]]:
  """Return the distinct parts of a specification by name in `KINDS`."""
  parts = [part for part in map(str.strip, spec.split(",")) if part]
  if not parts:
    raise ValueError(f"corpus={spec!r} names nothing; give {USAGE}")
  found: dict[str, list[str]] = {name: [] for name in KINDS}
  for part in dict.fromkeys(parts):
    found[_kind(part)].append(part)
  return found


def _kind(part: str) -> str:
  name = "".join(part.partition(":")[:2])
  # "tfds://…" would be the URL of a file system.
  return name if name in KINDS and "://" not in part else _FILES
