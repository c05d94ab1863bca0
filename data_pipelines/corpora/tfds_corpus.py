# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of TensorFlow Datasets (TFDS), read without TensorFlow."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bertjax.files import first_line
from data_pipelines.corpora import tfds_builders
from data_pipelines.corpora.digests import digest_files
from data_pipelines.corpora.documents import Document, clean_text
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.reading import ReadCounts, ReadOptions, rows_at_once
from data_pipelines.corpora.source import OpenedSources, Place, Source

USAGE = "tfds:NAME[/CONFIG][:VERSION]:SPLIT"
EXAMPLES = 100_000  # per source, so that workers share a large split

_PREFIX = "tfds:"
# The split follows the last colon that is not inside a slice.
_SPEC = re.compile(r"([^\[\]]+):((?:[^:\[\]]|\[[^\[\]]*\])+)")


@dataclasses.dataclass(frozen=True)
class TfdsSource(Source):
  """Consecutive examples of a split.

  Attributes:
    folder: folder of the prepared data set, version included.
    split: split in the syntax of TFDS, slices included.
    start: number of the first example.
    stop: number after the last example.
  """

  folder: str
  split: str
  start: int
  stop: int

  @property
  def readable_on(self) -> Place:
    """This machine, which has the prepared files."""
    return "this machine"

  def _documents(self, counts: ReadCounts) -> Iterator[Document]:
    before, count = counts.position, self.stop - self.start
    field = self.options.text_field
    examples = open_examples(self.folder, self.split, [field])
    step = rows_at_once(self.size, count)
    for first in range(self.start, self.stop, step):
      last = min(first + step, self.stop)
      for number, example in enumerate(
        self._read(examples, first, last), first
      ):
        place = f"{self.name}:{number}"
        try:
          text = (example[field] or b"").decode()  # an optional text is None
        except UnicodeDecodeError:
          self.options.skip_or_raise(counts, place, "not UTF-8")
        else:
          yield Document(place, clean_text(text, counts))
      counts.position = before + self.size * (last - self.start) // count

  def _read(self, examples: Any, first: int, last: int) -> list[Any]:
    try:
      return examples.__getitems__(range(first, last))
    except Exception as error:
      # TFDS, array_record and its C++ raise types of their own.
      raise ValueError(
        f"{self.name}: examples {first} to {last - 1} cannot be read "
        f"({first_line(error)}); prepare {self.folder} again"
      ) from error


@dataclasses.dataclass(frozen=True)
class TfdsSplit:
  """A split, or a slice or sum of splits, as sources.

  Attributes:
    name: full name of the data set, version included.
    split: split in the syntax of TFDS.
    examples: number of examples.
    files: files that hold the examples.
    sources: sources that read the examples, in order.
  """

  name: str
  split: str
  examples: int
  files: list[File]
  sources: list[TfdsSource]

  def identity(self) -> dict[str, Any]:
    """Return what identifies the text in a manifest, without paths."""
    return {
      "name": self.name,
      "split": self.split,
      "examples": self.examples,
      "sha256": digest_files(self.files, [""] * len(self.files)),
    }


def open_splits(parts: Sequence[str], options: ReadOptions) -> OpenedSources:
  """Open the splits that the parts of a corpus name; see `open_split`."""
  splits = [open_split(part, options) for part in parts]
  return OpenedSources(
    [source for split in splits for source in split.sources],
    lambda: {"tfds": [split.identity() for split in splits]},
  )


def parse(place: str, part: str) -> tuple[str, str]:
  """Return the name and the split that "tfds:NAME…:SPLIT" names.

  Args:
    place: what is to be read, for messages.
    part: the text to parse.

  Raises:
    ValueError: it names no split.
  """
  found = _SPEC.fullmatch(part.removeprefix(_PREFIX))
  if not found:
    raise ValueError(
      f"{place} names no split; give {USAGE}, for example "
      "tfds:wikipedia/20230601.en:train[:10%]"
    )
  name, split = found.groups()
  return name, split


def open_split(part: str, options: ReadOptions) -> TfdsSplit:
  """Open the split that "tfds:NAME[/CONFIG][:VERSION]:SPLIT" names.

  TFDS chooses the configuration and the version where they are not given.

  Raises:
    ValueError: the data set, configuration, version, split or feature does
      not exist or is not in array_record files; TFDS is not installed.
  """
  place = f"corpus {part}"
  name, split = parse(place, part)
  builder = tfds_builders.find_builder(place, name, options.tfds_data_dir)
  instructions = tfds_builders.find_instructions(place, builder, split)
  tfds_builders.check_feature(place, builder, options.text_field)
  files = tfds_builders.check_files(instructions)
  folder, examples = str(builder.data_dir), sum(i.take for i in instructions)
  # A file that is used in part counts in proportion.
  sizes = {file.path: file.size for file in files}
  size = sum(
    sizes[str(instruction.filename)]
    * instruction.take
    // instruction.examples_in_shard
    for instruction in instructions
  )
  name = f"{_PREFIX}{builder.info.full_name}:{split}"
  sources = []
  for start in range(0, examples, EXAMPLES):
    stop = min(start + EXAMPLES, examples)
    share = size * stop // examples - size * start // examples
    sources.append(TfdsSource(name, share, options, folder, split, start, stop))
  return TfdsSplit(builder.info.full_name, split, examples, files, sources)


def open_examples(folder: str, split: str, chosen: Sequence[str]) -> Any:
  """Return random access to the examples, decoding only `chosen` features."""
  builder = tfds_builders.load_builder(folder)
  skip = tfds_builders.load_tfds().decode.SkipDecoding()
  # TFDS cannot skip sequences, nor features that have some of their own.
  others = {
    name: skip
    for name, feature in builder.info.features.items()
    if name not in chosen
    and not (hasattr(feature, "feature") or hasattr(feature, "keys"))
  }
  return builder.as_data_source(split, decoders=others or None)
