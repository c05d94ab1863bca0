# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a store: what it holds, and a checksum of every file.

A folder without a manifest is not a store; the sha256 of the manifest's bytes
is the identity of the store.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, Self

from bertjax import files
from data_pipelines.store.layout import FORMAT, MANIFEST, READABLE, VERSION
from data_pipelines.tokenizers.template import Template
from data_pipelines.tokenizers.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class FileEntry:
  """Name, size and sha256 of a file of a store."""

  name: str
  bytes: int
  sha256: str

  @classmethod
  def of(cls, path: pathlib.Path, **more: Any) -> Self:
    """Describe the file at `path`, which is read whole."""
    size = path.stat().st_size
    return cls(name=path.name, bytes=size, sha256=files.sha256_of(path), **more)


@dataclasses.dataclass(frozen=True)
class ShardEntry(FileEntry):
  """A file of token ids, and how many records it holds."""

  records: int


@dataclasses.dataclass(frozen=True)
class SplitEntry:
  """Counts and files of a split.

  Attributes:
    documents, sentences, tokens, records, blocks: how many the split has.
    split_sentences: sentences that were too long for the store and are stored
      in parts, each of which counts in `sentences`.
    shards: the files of token ids.
    index: the files of the index by `layout.INDEX`.
  """

  documents: int
  sentences: int
  split_sentences: int
  tokens: int
  records: int
  blocks: int
  shards: tuple[ShardEntry, ...]
  index: Mapping[str, FileEntry]

  @property
  def files(self) -> tuple[FileEntry, ...]:
    """Every file of the split."""
    return (*self.shards, *self.index.values())


@dataclasses.dataclass(frozen=True)
class TokenizerEntry:
  """The tokenizer of a store.

  Attributes:
    name: the kind of tokenizer.
    sha256: identity of the tokenizer.
    vocab_size: number of token ids.
    special_ids: the ids of pad, unk, cls, sep and mask.
    template: the special tokens around texts as `Template.to_json` gives them;
      None where they are BERT's, as they are in all stores that were made
      before there were others.
  """

  name: str
  sha256: str
  vocab_size: int
  special_ids: Mapping[str, int]
  template: Mapping[str, Any] | None = None

  @classmethod
  def of(cls, tokenizer: Tokenizer) -> Self:
    """Describe a tokenizer."""
    ids = tokenizer.special_ids
    usual = Template.of_bert(ids["cls"], ids["sep"])
    return cls(
      tokenizer.name,
      tokenizer.sha256,
      tokenizer.vocab_size,
      {**ids},
      None if tokenizer.template == usual else tokenizer.template.to_json(),
    )

  def read_template(self) -> Template:
    """Return the special tokens around texts.

    Raises:
      KeyError, TypeError: a part is missing or unknown.
    """
    if self.template is not None:
      return Template.from_json(self.template)
    return Template.of_bert(self.special_ids["cls"], self.special_ids["sep"])


@dataclasses.dataclass(frozen=True)
class Manifest:
  """What a store holds.

  Attributes:
    source: what the text was, how it was cut, and counts of what was left out:
      plain JSON without times, hosts or absolute paths, because equal corpora
      give equal stores.
    tokenizer: what the text was encoded with.
    splits: the splits by name.
    sentences: the file of what was learned about sentences; None where each
      line is a sentence, and in stores of version 2.
    version: version of the format.
  """

  source: Mapping[str, Any]
  tokenizer: TokenizerEntry
  splits: Mapping[str, SplitEntry]
  sentences: FileEntry | None = None
  version: int = VERSION

  @property
  def recipe(self) -> Mapping[str, Any]:
    """Everything that determines the bytes of the store."""
    return self.source.get("recipe", {})

  @property
  def corpus(self) -> Any:
    """The part of the recipe that identifies the text."""
    return self.recipe.get("corpus")

  @property
  def counts(self) -> dict[str, int]:
    """Counts of what preparing left out or found more than once."""
    return {
      name: value
      for name, value in self.source.items()
      if isinstance(value, int) and not isinstance(value, bool)
    }

  @property
  def passed_over(self) -> Mapping[str, int]:
    """Files and folders beside the text that were not read, by suffix."""
    return self.source.get("passed_over", {})

  @property
  def files(self) -> Iterator[FileEntry]:
    """Every file but the tokenizer's: shards, indices and what was learned."""
    if self.sentences:
      yield self.sentences
    for split in self.splits.values():
      yield from split.files

  def to_json(self) -> str:
    """Return the text of `manifest.json`."""
    value = {"format": FORMAT, **dataclasses.asdict(self)}
    if not self.sentences:
      del value["sentences"]
    if self.tokenizer.template is None:
      del value["tokenizer"]["template"]
    return json.dumps(value, indent=2, sort_keys=True) + "\n"

  @classmethod
  def from_json(cls, value: Mapping[str, Any]) -> Self:
    """Build a manifest from the parsed text of `manifest.json`.

    Raises:
      KeyError, TypeError: an entry is missing or unknown.
    """
    sentences = value.get("sentences")
    tokenizer = TokenizerEntry(**value["tokenizer"])
    tokenizer.read_template()  # or it would be missed amid a run
    return cls(
      value["source"],
      tokenizer,
      {name: _split_entry(**split) for name, split in value["splits"].items()},
      FileEntry(**sentences) if sentences else None,
      value["version"],
    )


def _split_entry(
  *, shards: list[Any], index: Mapping[str, Any], **counts: int
) -> SplitEntry:
  return SplitEntry(
    **counts,
    shards=tuple(ShardEntry(**shard) for shard in shards),
    index={part: FileEntry(**file) for part, file in index.items()},
  )


def write_manifest(folder: str | os.PathLike[str], manifest: Manifest) -> None:
  """Write the manifest last, which makes a folder with its files a store."""
  files.write_text(pathlib.Path(folder) / MANIFEST, manifest.to_json())


def commit(
  partial: str | os.PathLike[str], output: str | os.PathLike[str]
) -> None:
  """Rename a finished store into place, in one step.

  Raises:
    ValueError: `partial` has no manifest, or `output` exists already.
  """
  source, target = pathlib.Path(partial), pathlib.Path(output)
  if not (source / MANIFEST).is_file():
    raise ValueError(f"{source} has no {MANIFEST}; finish it before commit")
  if target.exists():
    raise ValueError(f"{target} exists already; give another output")
  source.rename(target)


def read_manifest(folder: pathlib.Path) -> tuple[Manifest, str]:
  """Return the manifest of a store, and the sha256 of its bytes.

  Raises:
    ValueError: `folder` has no manifest, or one of another format or version.
  """
  path = folder / MANIFEST
  try:
    text = path.read_bytes()
  except OSError:
    raise ValueError(
      f"{folder} is not a store: it has no {MANIFEST}; make one with "
      "python -m launch.prepare --output=DIR"
    ) from None
  try:
    parsed = json.loads(text)
  except ValueError as error:
    raise ValueError(
      f"{path} is not JSON ({files.first_line(error)}); prepare the store again"
    ) from None
  found = (
    (parsed.get("format"), parsed.get("version"))
    if isinstance(parsed, dict)
    else (None, None)
  )
  if found[0] != FORMAT or found[1] not in READABLE:
    versions = " and ".join(map(str, READABLE))
    raise ValueError(
      f"{path} has format {found[0]!r} version {found[1]!r}; this bertjax "
      f"reads {FORMAT!r} versions {versions}: prepare the store again, or "
      "install the bertjax that made it"
    )
  try:
    manifest = Manifest.from_json(parsed)
  except (AttributeError, KeyError, TypeError) as error:
    raise ValueError(
      f"{path} is damaged ({files.first_line(error)}); prepare the store again"
    ) from None
  return manifest, hashlib.sha256(text).hexdigest()


def check_sizes(folder: pathlib.Path, manifest: Manifest) -> None:
  """Raise a `ValueError` where a file is missing or has another size."""
  for entry in manifest.files:
    if fault := find_size_fault(folder, entry):
      raise ValueError(
        f"{folder / entry.name} is {fault}; prepare the store again"
      )


def check_digests(folder: pathlib.Path, manifest: Manifest) -> None:
  """Raise a `ValueError` where the sha256 of a file is not the manifest's."""
  for entry in manifest.files:
    if fault := check_file(folder, entry):
      raise ValueError(
        f"{folder / entry.name} is {fault}; prepare the store again"
      )


def check_file(folder: pathlib.Path, entry: FileEntry) -> str | None:
  """Read one file of a store; return what is wrong with it, None if nothing."""
  fault = find_size_fault(folder, entry)
  if fault is None and files.sha256_of(folder / entry.name) != entry.sha256:
    return "damaged: its sha256 is not the manifest's"
  return fault


def find_size_fault(folder: pathlib.Path, entry: FileEntry) -> str | None:
  """Return what is wrong with the size of a file; None if nothing."""
  file = folder / entry.name
  size = file.stat().st_size if file.is_file() else None
  if size == entry.bytes:
    return None
  state = "missing" if size is None else f"{size} bytes long"
  return f"{state}; its manifest says {entry.bytes} bytes"
