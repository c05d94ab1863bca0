# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Take a source through a model: in order, in bounded memory, resumable.

Rows are read and encoded in a thread, while the devices compute those before
them and the main thread writes those before these.
"""

import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from data_pipelines.tasks.features import EncodedTexts
from data_pipelines.tasks.table_files import BadRow
from launch.inference.encoding import Encoded, Texts
from launch.inference.inputs import BadRows, Examined, Example, Source
from launch.inference.outputs import (
  Journal,
  Output,
  Rows,
  locked,
  writing,
)
from launch.inference.progress import Progress, rows_are

# Rows of a part for each row of the shortest bucket. Each length ends in a
# batch that is not full, so that there must be many.
ROWS = 64
# Characters of a part for each row of the shortest bucket: a part of long texts
# has fewer rows, so that a kill loses a minute and not an hour.
_CHARACTERS = 4096
_COUNTS = ("cut", "empty", "tokens", "unknown", "cut_questions")


@dataclasses.dataclass(frozen=True)
class Worker:
  """What is done with the texts of a part.

  Attributes:
    encode: texts → windows.
    start: windows → something that is being computed.
    finish: (what `start` returned, lines of the rows) → results, one a row.
    batch_size: rows of the shortest bucket.
    compiled: returns the lengths of rows that were compiled.
  """

  encode: Callable[[Texts], Encoded]
  start: Callable[[Encoded], Any]
  finish: Callable[[Any, list[int]], Any]
  batch_size: int
  compiled: Callable[[], Iterable[int]]


@dataclasses.dataclass(frozen=True)
class Part:
  """Rows that are encoded together.

  Attributes:
    examples: those that can be used.
    read: the number of all.
  """

  examples: list[Example]
  read: int


def parts(
  source: Source, bad: BadRows, skip: int, batch_size: int
) -> Iterator[Part]:
  """Yield the rows of a source after the first `skip`.

  Bad rows are counted in `bad`, also among the skipped ones.

  Raises:
    ValueError: the source cannot be read, or a row is bad and is not to be
      skipped.
  """
  rows = source.rows()
  for row in itertools.islice(rows, skip):
    if isinstance(row, BadRow):
      bad.add(source.describe(row))
  most, characters = ROWS * batch_size, _CHARACTERS * batch_size
  examples: list[Example] = []
  read = size = count = 0
  for row in rows:
    read += 1
    if isinstance(row, BadRow):
      bad.add(source.describe(row))
      source.check(bad)
      continue
    examples.append(row)
    size += row.characters
    count += row.windows
    if count >= most or size >= characters:
      yield Part(examples, read)
      examples, read, size, count = [], 0, 0, 0
  if read:
    yield Part(examples, read)


@dataclasses.dataclass(frozen=True)
class Job:
  """A source that goes through a model.

  Attributes:
    worker: what is done with texts.
    source: the rows.
    examined: what is known of them; None where they can be read only once.
    check: (what was counted in all rows, their number) → None. It warns, or
      raises a ValueError.
    tell_how: says how texts are computed, before the first one is.
  """

  worker: Worker
  source: Source
  examined: Examined | None
  check: Callable[[EncodedTexts, int], None]
  tell_how: Callable[[], None] = lambda: None

  def make_file(
    self,
    output: Output,
    open_rows: Callable[[pathlib.Path, int], Rows],
    close: Callable[[pathlib.Path], None] = lambda _: None,
  ) -> None:
    """Make a file, or go on with it.

    Args:
      output: the file.
      open_rows: (path, extent that is kept) → the file to write rows to.
      close: completes the file at a path.

    Raises:
      OSError: the disk has no room for the file.
      ValueError: the file is of another input, or a row cannot be used.
    """
    # The journal changes only in the hands of the process that writes the rows.
    with locked(output.partial) as is_new:
      journal = output.begin(is_new=is_new)
      if journal.done:
        tell(f"{rows_are(journal.written)} in {output.path} already")
        return
      if journal.read:
        before = rows_are(journal.written)
        tell(f"{before} done; {output.path} goes on after them")
      with writing(output.partial):
        rows = open_rows(output.partial, journal.extent)
      try:
        self.write(journal, rows, output)
      finally:
        with writing(output.partial):  # what is buffered is written now
          rows.close()
      with writing(output.path):
        close(output.partial)
        output.finish(journal)
    tell(f"{rows_are(journal.written)} in {output.path}")

  def write(
    self, journal: Journal, rows: Rows, output: Output | None = None
  ) -> None:
    """Write the results of every row that is not done.

    Args:
      journal: what is done; it is brought up to date.
      rows: where results are written.
      output: what to commit; None for standard output.

    Raises:
      ValueError: a row or the source cannot be used.
    """
    self.tell_how()
    bad = BadRows()
    total = self.examined and self.examined.rows
    with Progress(total, journal.written) as progress:
      for part, encoded, started in self._started(bad, journal.read):
        with writing(output.partial) if output else contextlib.nullcontext():
          if started is not None and encoded is not None:
            lines = [example.line for example in part.examples]
            rows.write(self.worker.finish(started, lines))
            _count(journal.counts, encoded)
            journal.written += len(lines)
            progress.advance(len(lines))
          journal.read += part.read
          if output is None:
            rows.sync()
          else:
            output.commit(journal, rows)
      if journal.written:
        tell(f"{progress.summary()}{self._compiled()}")
    if bad.count:
      logging.warning("%s left out: %s", rows_are(bad.count), bad)
    if not journal.written:
      raise ValueError(f"{self.source.name} has no rows; give some")
    self.check(_counted(journal.counts), journal.written)

  def _started(
    self, bad: BadRows, skip: int
  ) -> Iterator[tuple[Part, Encoded | None, Any]]:
    """Yield each part once the devices compute the part after it."""
    todo = parts(self.source, bad, skip, self.worker.batch_size)
    before = None
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
      following = reader.submit(_encode_next, todo, self.worker)
      while (item := following.result()) is not None:
        following = reader.submit(_encode_next, todo, self.worker)
        part, encoded = item
        now = part, encoded, encoded and self.worker.start(encoded)
        if before:
          yield before
        before = now
    if before:
      yield before

  def _compiled(self) -> str:
    lengths = sorted(self.worker.compiled())
    return f"; compiled for lengths of {', '.join(map(str, lengths))} tokens"


def tell(text: str) -> None:
  """Print a line on standard error: results may go to standard output."""
  print(text, file=sys.stderr, flush=True)


def _count(counts: dict[str, int], encoded: Encoded) -> None:
  for name in _COUNTS:
    counts[name] = counts.get(name, 0) + getattr(encoded.encoded, name)


def _counted(counts: Mapping[str, int]) -> EncodedTexts:
  """Return what was counted in all rows, without their features."""
  # A journal of an earlier version may lack some of them.
  found: dict[str, Any] = {name: counts.get(name, 0) for name in _COUNTS}
  return EncodedTexts({}, words=0, **found)


def _encode_next(
  todo: Iterator[Part], worker: Worker
) -> tuple[Part, Encoded | None] | None:
  part = next(todo, None)
  if part is None:
    return None
  if not part.examples:
    return part, None
  columns = zip(*(example.texts for example in part.examples), strict=True)
  texts, *pairs = map(list, columns)
  choices = [example.choices for example in part.examples]
  words = [example.words for example in part.examples]
  ids = [example.id for example in part.examples]
  return part, worker.encode(
    Texts(
      texts,
      pairs[0] if pairs else None,
      choices if choices[0] else None,
      words if words[0] else None,
      ids if any(ids) else (),
    )
  )
