# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A corpus: the embedded one, files, folders, buckets and TFDS by name."""

import hashlib
import os
import platform
from collections.abc import Iterator
from typing import Any

from data_pipelines.corpora import tfds_documents
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.filesystems import File, find
from data_pipelines.corpora.records import Reading, Tally
from data_pipelines.corpora.sources import (
  STDLIB,
  FileSource,
  Source,
  StdlibSource,
  is_known,
  text_format,
)

DOCUMENTS = ("file", "blank_line")


class Corpus:
  """Documents named by a specification; reading starts with iteration.

  Attributes:
    spec: comma-separated parts: "stdlib"; files, folders, globs, also in
      buckets ("gs://BUCKET/*.parquet"); "tfds:NAME[/CONFIG][:VERSION]:SPLIT".
    sources: what they come to, in the order of reading.
    size: bytes on disk of all sources together, 0 for the embedded corpus.
    tally: what the latest iteration has met.
  """

  def __init__(
    self,
    spec: str,
    *,
    documents: str = "file",
    text_field: str = "text",
    min_characters: int = 0,
    skip_bad_records: bool = False,
    tfds_data_dir: str = "",
  ) -> None:
    """Find the sources.

    Args:
      spec: see `Corpus.spec`.
      documents: see `Reading`, as the three that follow.
      text_field: "text" for most.
      min_characters: 0 takes all.
      skip_bad_records: refuse them otherwise.
      tfds_data_dir: where data sets are prepared; "" is TFDS' own default.

    Raises:
      ValueError: a part that names nothing or a file of another format; a
        data set that is not there; an option without sense.
    """
    if documents not in DOCUMENTS:
      raise ValueError(
        f"documents={documents!r}; choose from {', '.join(DOCUMENTS)}"
      )
    if min_characters < 0 or not text_field:
      raise ValueError(
        f"min_characters={min_characters}, text_field={text_field!r}; give a "
        "number of at least 0 and a name"
      )
    self.spec = spec
    self.tally = Tally()
    self._reading = Reading(
      documents, text_field, min_characters, skip_bad_records
    )
    given = list(dict.fromkeys(map(str.strip, spec.split(","))))
    parts = [part for part in given if part]
    if not parts:
      raise ValueError(
        f"corpus={spec!r} names nothing; give {STDLIB}, files or globs"
      )
    self._files = _files(parts)
    self._splits = [
      tfds_documents.open_split(part, tfds_data_dir, self._reading)
      for part in parts
      if part.startswith(tfds_documents.PREFIX)
    ]
    self.sources: list[Source] = []
    if STDLIB in parts:
      self.sources.append(StdlibSource(STDLIB, 0, self._reading))
    for file in self._files:
      self.sources.append(FileSource(file.name, file.size, self._reading, file))
    for split in self._splits:
      self.sources.extend(split.sources)
    self.size = sum(source.size for source in self.sources)

  def __iter__(self) -> Iterator[Document]:
    """Documents with text in them, source after source.

    Raises:
      ValueError: what cannot be read; see `Source.read`.
    """
    self.tally = Tally()
    for source in self.sources:
      yield from source.read(self.tally)

  @property
  def share_read(self) -> float | None:
    """Share of the bytes on disk read so far; None where there are none."""
    return self.tally.position / self.size if self.size else None

  def identity(self) -> dict[str, Any]:
    """What the text is, for a manifest: no paths, and cheap beside reading.

    What was asked for in an option stands in it only where it is not the
    default.
    """
    reading = self._reading
    identity: dict[str, Any] = {"documents": reading.documents}
    if reading.text_field != Reading.text_field:
      identity["text_field"] = reading.text_field
    if reading.min_characters != Reading.min_characters:
      identity["min_characters"] = reading.min_characters
    if any(isinstance(source, StdlibSource) for source in self.sources):
      identity["stdlib"] = f"Python {platform.python_version()}"
    if self._files:
      # Places do not matter, nor names but for the format, but how many lie in
      # what order.
      digest = hashlib.sha256()
      for file in self._files:
        digest.update(text_format(file.name).encode())
        with file.opened() as raw:
          digest.update(hashlib.file_digest(raw, "sha256").digest())
      identity["files"] = len(self._files)
      identity["sha256"] = digest.hexdigest()
    if self._splits:
      identity["tfds"] = [split.identity() for split in self._splits]
    return identity


def read(spec: str, **options: Any) -> Iterator[Document]:
  """Documents of `spec`; see `Corpus`, also for the options."""
  return iter(Corpus(spec, **options))


def _files(parts: list[str]) -> list[File]:
  """Files that the parts name; one that two of them name comes once."""
  found: dict[str, File] = {}
  for part in parts:
    if part == STDLIB or part.startswith(tfds_documents.PREFIX):
      continue
    for file in find(part, is_known):
      text_format(file.name)
      local = file.filesystem is None
      found[os.path.realpath(file.path) if local else file.name] = file
  return list(found.values())
