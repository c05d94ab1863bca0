# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of the workers of Apache Beam: sources → texts → records → files.

A runner may run any step twice, also at the same time. So each attempt writes
to a name of its own, and the counts list only the files of attempts that Beam
committed.
"""

import dataclasses
import json
import re
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam
from apache_beam.io.filesystems import FileSystems

from data_pipelines.corpora import documents
from data_pipelines.corpora.reading import ReadCounts
from data_pipelines.corpora.source import Source
from data_pipelines.prepare.code_versions import code_versions
from data_pipelines.prepare.encoding import Encoder, Hashed, batches
from data_pipelines.prepare.spool import pack
from data_pipelines.store.layout import token_dtype

COUNTS = "counts.json"
FILES = "files"  # in the counts: bytes of each file by name
_KEY_BITS = 16
# Characters of a message that no runner quotes, escapes or wraps.
_PLAIN = " /:,.;()=+@"
_MISTAKE = re.compile(rf"<<mistake ([\w%~{re.escape(_PLAIN)}-]+)>>", re.ASCII)


def build(
  pipeline: Any,
  sources: Sequence[Source],
  encoder: Encoder,
  folder: str,
  bits: int,
) -> None:
  """Add the steps to a pipeline.

  Args:
    pipeline: a pipeline of Beam.
    sources: what to read; a worker reads one source at a time.
    encoder: encodes a document.
    folder: where the files of records go, a few for each value of the first
      `bits` bits of a hash, and `COUNTS`, when all is done.
    bits: number of bits, at most 16.
  """
  read = (
    pipeline
    | "sources" >> apache_beam.Create(list(sources))
    | "spread sources" >> apache_beam.Reshuffle()
    | "read" >> apache_beam.ParDo(_Read()).with_outputs("counts", main="texts")
  )
  encode = _Encode(encoder, bits, code_versions())
  encoded = (
    read.texts
    | "spread texts" >> apache_beam.Reshuffle()
    | "encode"
    >> apache_beam.ParDo(encode).with_outputs("counts", main="records")
  )
  written = (
    encoded.records
    | "by hash" >> apache_beam.GroupByKey()
    | "write" >> apache_beam.ParDo(_Write(folder))
  )
  _ = (
    (read.counts, encoded.counts, written)
    | "all counts" >> apache_beam.Flatten()
    | "add" >> apache_beam.CombineGlobally(add)
    | "write counts" >> apache_beam.ParDo(_WriteCounts(folder))
  )


def mistake(error: BaseException) -> str:
  """Find a worker's message to the user in an error of Beam; "" if none."""
  found = _MISTAKE.search(str(error))
  return urllib.parse.unquote(found[1]) if found else ""


def _marked(message: str) -> str:
  return f"<<mistake {urllib.parse.quote(message, safe=_PLAIN)}>>"


class _Read(apache_beam.DoFn):
  """Source → batches of texts; and the counts of what was read."""

  def process(self, source: Source) -> Iterator[Any]:
    counts = ReadCounts()
    texts = (
      Hashed(documents.digest(document.text), document.text)
      for document in source.read(counts)
    )
    try:
      yield from batches(texts)
    except ValueError as error:
      raise ValueError(_marked(str(error))) from None
    tagged = {"tally": dataclasses.asdict(counts)}
    yield apache_beam.pvalue.TaggedOutput("counts", tagged)


class _Encode(apache_beam.DoFn):
  """Texts → keys and records; and the counts of what was encoded."""

  def __init__(
    self, encoder: Encoder, bits: int, wanted: Mapping[str, str]
  ) -> None:
    self._encoder = encoder
    self._bits = bits
    self._wanted = wanted
    self._dtype = token_dtype(encoder.tokenizer.vocab_size)

  def setup(self) -> None:
    here = code_versions()
    for name, wanted in self._wanted.items():
      if here[name] != wanted:
        message = (
          f"a worker has {name} {here[name]}, this machine {wanted}; install "
          "the same packages and checkout on both: see launch/BEAM.md"
        )
        raise ValueError(_marked(message))

  def process(self, batch: Sequence[Hashed]) -> Iterator[Any]:
    records: dict[int, list[bytes]] = {}
    counts = {"documents": 0, "tokens": 0, "paragraphs": 0, "unwritten": 0}
    for document in self._encoder(batch):
      counts["documents"] += 1
      counts["tokens"] += len(document.ids)
      counts["paragraphs"] += len(document.paragraphs)
      counts["unwritten"] += not len(document.ids)
      if len(document.ids):
        start = int.from_bytes(document.digest[: _KEY_BITS // 8], "big")
        packed = pack(document, self._dtype)
        records.setdefault(start >> (_KEY_BITS - self._bits), []).append(packed)
    for key, parts in records.items():
      yield key, b"".join(parts)
    yield apache_beam.pvalue.TaggedOutput("counts", counts)


class _Write(apache_beam.DoFn):
  """All records of a key → one file; one record in memory at a time."""

  def __init__(self, folder: str) -> None:
    self._folder = folder

  def process(self, pair: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
    key, records = pair
    name = f"{key:05d}-{uuid.uuid4().hex}.bin"
    size = _write(FileSystems.join(self._folder, name), records)
    yield {FILES: {name: size}}


class _WriteCounts(apache_beam.DoFn):
  def __init__(self, folder: str) -> None:
    self._folder = folder

  def process(self, counts: Mapping[str, Any]) -> None:
    path = FileSystems.join(self._folder, COUNTS)
    partial = f"{path}.{uuid.uuid4().hex}"
    _write(partial, [json.dumps(counts).encode()])
    FileSystems.rename([partial], [path])


def _write(path: str, parts: Iterable[bytes]) -> int:
  size = 0
  with FileSystems.create(path, compression_type="uncompressed") as file:
    for part in parts:
      file.write(part)
      size += len(part)
  return size


def add(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
  """Add up counts by name, in nested mappings too."""
  total: dict[str, Any] = {}
  for each in counts:
    for name, value in each.items():
      if isinstance(value, Mapping):
        total[name] = add([total.get(name, {}), value])
      else:
        total[name] = total.get(name, 0) + value
  return total
