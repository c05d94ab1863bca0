# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of a split of TensorFlow Datasets, read without TensorFlow."""

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from data_pipelines.corpora import tfds_builders
from data_pipelines.corpora.documents import Document, plain
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.records import (
  Reading,
  Tally,
  first_line,
  rows_at_once,
)
from data_pipelines.corpora.sources import Source

PREFIX = "tfds:"
EXAMPLES = 100_000  # of a source, so that a large split is shared by many

# The split is what stands after the last colon that is not inside a slice.
_SPEC = re.compile(r"([^\[\]]+):((?:[^:\[\]]|\[[^\[\]]*\])+)")


@dataclasses.dataclass(frozen=True)
class TfdsSource(Source):
  """Consecutive examples of a split.

  Attributes:
    folder: of the prepared data set, version included.
    split: as TFDS writes it, maybe with slices.
    start: first example.
    stop: the one after the last.
  """

  folder: str
  split: str
  start: int
  stop: int

  def _documents(self, tally: Tally) -> Iterator[Document]:
    before, count = tally.position, self.stop - self.start
    field = self.reading.text_field
    examples = _examples(self.folder, self.split, field)
    step = rows_at_once(self.size, count)
    for first in range(self.start, self.stop, step):
      last = min(first + step, self.stop)
      for number, example in enumerate(
        self._read(examples, first, last), first
      ):
        place = f"{self.name}:{number}"
        try:
          text = (example[field] or b"").decode()  # None where it is optional
        except UnicodeDecodeError:
          self.reading.bad(tally, place, "not UTF-8")
        else:
          yield Document(place, plain(text))
      tally.position = before + self.size * (last - self.start) // count

  def _read(self, examples: Any, first: int, last: int) -> list[Any]:
    try:
      return examples.__getitems__(range(first, last))
    except Exception as error:
      # From here to array_record's own C++, each has exceptions of its own.
      raise ValueError(
        f"{self.name}: examples {first} to {last - 1} cannot be read "
        f"({first_line(error)}); prepare {self.folder} again"
      ) from error


@dataclasses.dataclass(frozen=True)
class TfdsSplit:
  """A split, or a part or sum of splits, as sources.

  Attributes:
    name: full name of the data set, version included.
    split: as TFDS writes it.
    examples: how many there are.
    files: that hold them.
    sources: that read them, in order.
  """

  name: str
  split: str
  examples: int
  files: list[File]
  sources: list[TfdsSource]

  def identity(self) -> dict[str, Any]:
    """What the text is, for a manifest, without a path."""
    digest = hashlib.sha256()
    for file in self.files:
      with file.opened() as raw:
        digest.update(hashlib.file_digest(raw, "sha256").digest())
    return {
      "name": self.name,
      "split": self.split,
      "examples": self.examples,
      "sha256": digest.hexdigest(),
    }


def open_split(part: str, data_dir: str, reading: Reading) -> TfdsSplit:
  """The split that "tfds:NAME[/CONFIG][:VERSION]:SPLIT" names.

  Args:
    part: as above; without a configuration or version the one that TFDS takes.
    data_dir: where data sets are prepared; "" is TFDS' own default.
    reading: which documents to take.

  Raises:
    ValueError: there is no such data set, configuration, version, split or
      feature, or it lies in files of another format; TFDS is absent.
  """
  found = _SPEC.fullmatch(part.removeprefix(PREFIX))
  if not found:
    raise ValueError(
      f"corpus {part} cannot be read; give tfds:NAME[/CONFIG][:VERSION]:SPLIT, "
      "as tfds:wikipedia/20230601.en:train[:10%]"
    )
  name, split = found.groups()
  builder = tfds_builders.find_builder(part, name, data_dir)
  instructions = tfds_builders.instructions(part, builder, split)
  tfds_builders.check_feature(part, builder, reading.text_field)
  files = tfds_builders.files(instructions)
  folder, examples = str(builder.data_dir), sum(i.take for i in instructions)
  # Of a file that is used in part, the part.
  sizes = {file.path: file.size for file in files}
  size = sum(
    sizes[str(instruction.filename)]
    * instruction.take
    // instruction.examples_in_shard
    for instruction in instructions
  )
  name = f"{PREFIX}{builder.info.full_name}:{split}"
  sources = []
  for start in range(0, examples, EXAMPLES):
    stop = min(start + EXAMPLES, examples)
    share = size * stop // examples - size * start // examples
    sources.append(TfdsSource(name, share, reading, folder, split, start, stop))
  return TfdsSplit(builder.info.full_name, split, examples, files, sources)


def _examples(folder: str, split: str, field: str) -> Any:
  """Random access to the examples; only the one feature is decoded."""
  builder = tfds_builders.load_builder(folder)
  skip = tfds_builders.load_tfds().decode.SkipDecoding()
  others = {name: skip for name in builder.info.features if name != field}
  return builder.as_data_source(split, decoders=others or None)
