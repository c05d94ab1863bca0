# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of documents: the embedded corpus, text files, JSON lines."""

import glob
import hashlib
import pathlib
import platform
from collections.abc import Iterator
from typing import Any

from data_pipelines import stdlib_corpus
from data_pipelines.documents import Document
from data_pipelines.text_files import Tally, opened, read_texts, text_format

DOCUMENTS = ("file", "blank_line")
STDLIB = "stdlib"


class Corpus:
  """Documents named by a specification; reading starts with iteration.

  Attributes:
    spec: comma-separated parts: "stdlib", a file, or a glob of files.
    size: bytes on disk of all files together, 0 for the embedded corpus.
    tally: what the latest iteration has met.
  """

  def __init__(
    self,
    spec: str,
    *,
    documents: str = "file",
    skip_bad_records: bool = False,
  ) -> None:
    """Find the files.

    Raises:
      ValueError: a part that names nothing, a folder, or a file of another
        format; an unknown way of cutting documents.
    """
    if documents not in DOCUMENTS:
      raise ValueError(
        f"documents={documents!r}; choose from {', '.join(DOCUMENTS)}"
      )
    self.spec = spec
    self._documents = documents
    self._skip_bad_records = skip_bad_records
    parts = [part.strip() for part in spec.split(",") if part.strip()]
    if not parts:
      raise ValueError(
        f"corpus={spec!r} names nothing; give stdlib, files or globs"
      )
    self._stdlib = STDLIB in parts
    found = [path for part in parts if part != STDLIB for path in _find(part)]
    # A file that two globs name is read once.
    self.files = list({path.resolve(): path for path in found}.values())
    self.size = sum(path.stat().st_size for path in self.files)
    self.tally = Tally()

  def __iter__(self) -> Iterator[Document]:
    """Documents with text in them, in a fixed order.

    Raises:
      ValueError: a file that cannot be read; see `text_files.read_texts`.
    """
    self.tally = Tally()
    for document in self._all():
      if document.text and not document.text.isspace():
        yield document
      else:
        self.tally.empty += 1

  @property
  def share_read(self) -> float | None:
    """Share of the files' bytes read so far; None where there are none."""
    return self.tally.position / self.size if self.size else None

  def _all(self) -> Iterator[Document]:
    if self._stdlib:
      yield from stdlib_corpus.documents()
    for path in self.files:
      yield from read_texts(
        path,
        documents=self._documents,
        skip_bad_records=self._skip_bad_records,
        tally=self.tally,
      )

  def identity(self) -> dict[str, Any]:
    """What the text is, for a manifest: no paths, and cheap beside reading."""
    identity: dict[str, Any] = {"documents": self._documents}
    if self._stdlib:
      identity["stdlib"] = f"Python {platform.python_version()}"
    if self.files:
      # Names and places do not matter, but how many lie in what order.
      digest = hashlib.sha256()
      for path in self.files:
        with opened(path) as file:
          digest.update(hashlib.file_digest(file, "sha256").digest())
      identity["files"] = len(self.files)
      identity["sha256"] = digest.hexdigest()
    return identity


def read(
  spec: str, *, documents: str = "file", skip_bad_records: bool = False
) -> Iterator[Document]:
  """Documents of `spec`; see `Corpus`."""
  return iter(
    Corpus(spec, documents=documents, skip_bad_records=skip_bad_records)
  )


def _find(part: str) -> list[pathlib.Path]:
  path = pathlib.Path(part).expanduser()
  if path.is_dir():
    raise ValueError(
      f"corpus {part} is a folder; give its files, as {part.rstrip('/')}/*.txt"
    )
  if path.exists():
    paths = [path]
  else:
    matches = sorted(glob.glob(str(path), recursive=True))
    paths = [match for match in map(pathlib.Path, matches) if match.is_file()]
    if not paths:
      what = "matches no file" if glob.has_magic(part) else "does not exist"
      raise ValueError(f"corpus {part} {what}; give {STDLIB}, files or globs")
  for path in paths:
    text_format(path)
  return paths
