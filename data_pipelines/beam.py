# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encoding past one machine: the same pure function, on Apache Beam.

Beam reads and encodes, which is nearly all of the work, and leaves the spool's
buckets; writing a store in the order of the hashes stays with one process. So
the store has the same bytes as one that was made without Beam. The one module
that imports apache_beam; launch/BEAM.md tells how to run it.
"""

import dataclasses
import hashlib
import json
import logging
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
  GoogleCloudOptions,
  PipelineOptions,
)

from data_pipelines import documents
from data_pipelines.corpora import Corpus
from data_pipelines.encoding import Encoder, Hashed, batches
from data_pipelines.pieces import Tokenizer
from data_pipelines.records import Tally
from data_pipelines.sources import Source
from data_pipelines.spool import pack
from data_pipelines.store import token_dtype

LOCAL = "DirectRunner"
_COUNTS = "counts.json"
_BUCKET_BITS = 6
# Of a corpus: from there on each bucket is written by 64 workers at a time.
_LARGE_BYTES = 1 << 32
_LARGE_BITS = 12
# Around what a user is to read, in the pages that Beam makes of an error.
_MISTAKE = re.compile(r"<<<mistake: (.*?) >>>", re.DOTALL)


def encode(
  corpus: Corpus,
  encoder: Encoder,
  buckets: Sequence[pathlib.Path],
  *,
  runner: str,
  options: Sequence[str],
) -> dict[str, Any]:
  """Encode a corpus on `runner` into the files `buckets` of a spool.

  Args:
    corpus: whose sources the workers read.
    encoder: what to do with each document.
    buckets: files to write, one for each bucket.
    runner: of Beam, as "DirectRunner".
    options: its command-line options.

  Returns:
    Counts, as `shuffle.PartState` calls them.

  Raises:
    ValueError: text that cannot be read, or options that do not do.
  """
  if runner == LOCAL:  # whose errors reach the user below
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
  parsed = _options(runner, options)
  folder = _shared_folder(corpus, encoder, buckets[0], parsed, runner)
  _forget(folder)
  if not FileSystems.exists(folder):
    FileSystems.mkdirs(folder)
  bits = _LARGE_BITS if corpus.size > _LARGE_BYTES else _BUCKET_BITS
  try:
    with apache_beam.Pipeline(runner=runner, options=parsed) as pipeline:
      _build(pipeline, corpus.sources, encoder, folder, bits)
  except Exception as error:
    found = _MISTAKE.search(str(error))
    if found is None:
      raise
    raise ValueError(found[1].replace("\\'", "'")) from None
  for number, path in enumerate(buckets):
    _take_over(folder, number, bits, path)
  with FileSystems.open(FileSystems.join(folder, _COUNTS)) as file:
    counts = json.loads(file.read())
  _forget(folder)
  return counts


def _options(runner: str, options: Sequence[str]) -> PipelineOptions:
  parsed = PipelineOptions(list(options), save_main_session=False)
  unknown = _unknown(options, parsed)
  if unknown:
    raise ValueError(
      f"runner={runner} knows no {' '.join(unknown)}, and nor does "
      "launch.prepare; see its --help"
    )
  return parsed


def _unknown(options: Sequence[str], parsed: PipelineOptions) -> list[str]:
  known = parsed.get_all_options()
  names = (option.lstrip("-").partition("=")[0] for option in options)
  return [
    option
    for option, name in zip(options, names, strict=True)
    if option.startswith("--")
    and name.removeprefix("no_") not in known
    and name not in known
  ]


def _shared_folder(
  corpus: Corpus,
  encoder: Encoder,
  bucket: pathlib.Path,
  options: PipelineOptions,
  runner: str,
) -> str:
  """Where workers write and this process reads."""
  if runner == LOCAL:
    return str(bucket.parent.with_name("beam"))
  place = options.view_as(GoogleCloudOptions).temp_location
  if not place:
    raise ValueError(
      f"runner={runner} needs a folder that its workers and this machine "
      "share; give --temp_location=gs://BUCKET/FOLDER"
    )
  parts = repr((corpus.identity(), encoder.tokenizer.sha256, encoder.mode))
  name = hashlib.sha256(parts.encode()).hexdigest()[:16]
  return FileSystems.join(place, f"bertjax-{name}")


def _forget(folder: str) -> None:
  # In a bucket there are no folders, only names that start alike.
  (found,) = FileSystems.match([FileSystems.join(folder, "*")])
  if found.metadata_list:
    FileSystems.delete([file.path for file in found.metadata_list])


def _build(
  pipeline: Any,
  sources: Sequence[Source],
  encoder: Encoder,
  folder: str,
  bits: int,
) -> None:
  read = (
    pipeline
    | "sources" >> apache_beam.Create(list(sources))
    | "spread sources" >> apache_beam.Reshuffle()
    | "read" >> apache_beam.ParDo(_Read()).with_outputs("counts", main="texts")
  )
  encoded = (
    read.texts
    | "spread texts" >> apache_beam.Reshuffle()
    | "encode"
    >> apache_beam.ParDo(_Encode(encoder, bits)).with_outputs(
      "counts", main="records"
    )
  )
  _ = (
    encoded.records
    | "by bucket" >> apache_beam.GroupByKey()
    | "write" >> apache_beam.ParDo(_Write(folder))
  )
  _ = (
    (read.counts, encoded.counts)
    | "all counts" >> apache_beam.Flatten()
    | "add" >> apache_beam.CombineGlobally(_add)
    | "write counts" >> apache_beam.ParDo(_WriteCounts(folder))
  )


class _Read(apache_beam.DoFn):
  """Source → texts, several at a time; and what reading has met."""

  def process(self, source: Source) -> Iterator[Any]:
    tally = Tally()
    texts = (
      Hashed(documents.digest(document.text), document.text)
      for document in source.read(tally)
    )
    try:
      yield from batches(texts)
    except ValueError as error:
      raise ValueError(f"<<<mistake: {error} >>>") from None
    counts = {"tally": dataclasses.asdict(tally)}
    yield apache_beam.pvalue.TaggedOutput("counts", counts)


class _Encode(apache_beam.DoFn):
  """Texts → the bucket and the bytes of each; and how many they are."""

  def __init__(self, encoder: Encoder, bits: int) -> None:
    self._encoder = encoder
    self._bits = bits

  def process(self, batch: Sequence[Hashed]) -> Iterator[Any]:
    tokenizer: Tokenizer = self._encoder.tokenizer
    dtype = token_dtype(tokenizer.vocab_size)
    records: dict[int, list[bytes]] = {}
    counts = {"documents": 0, "tokens": 0, "paragraphs": 0, "unwritten": 0}
    for document in self._encoder(batch):
      counts["documents"] += 1
      counts["tokens"] += len(document.ids)
      counts["paragraphs"] += len(document.paragraphs)
      counts["unwritten"] += not len(document.ids)
      if len(document.ids):
        key = int.from_bytes(document.digest[:2], "big") >> (16 - self._bits)
        records.setdefault(key, []).append(pack(document, dtype))
    for key, packed in records.items():
      yield key, b"".join(packed)
    yield apache_beam.pvalue.TaggedOutput("counts", counts)


class _Write(apache_beam.DoFn):
  """One file a key, renamed when it is whole: a retry does no harm."""

  def __init__(self, folder: str) -> None:
    self._folder = folder

  def process(self, pair: tuple[int, Iterable[bytes]]) -> None:
    key, records = pair
    _write(FileSystems.join(self._folder, f"{key:04d}.bin"), records)


class _WriteCounts(apache_beam.DoFn):
  def __init__(self, folder: str) -> None:
    self._folder = folder

  def process(self, counts: Mapping[str, Any]) -> None:
    data = json.dumps(counts).encode()
    _write(FileSystems.join(self._folder, _COUNTS), [data])


def _write(path: str, parts: Iterable[bytes]) -> None:
  partial = path + ".partial"
  with FileSystems.create(partial, compression_type="uncompressed") as file:
    for part in parts:
      file.write(part)
  if FileSystems.exists(path):
    FileSystems.delete([path])
  FileSystems.rename([partial], [path])


def _add(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
  total: dict[str, Any] = {}
  for each in counts:
    for name, value in each.items():
      before = total.get(name)
      if isinstance(value, Mapping):
        total[name] = _add([before or {}, value])
      else:
        total[name] = value + (before or 0)
  return total


def _take_over(folder: str, bucket: int, bits: int, path: pathlib.Path) -> None:
  """Put the files of one bucket behind each other."""
  keys = 1 << (bits - _BUCKET_BITS)
  with path.open("wb") as out:
    for key in range(bucket * keys, (bucket + 1) * keys):
      source = FileSystems.join(folder, f"{key:04d}.bin")
      if FileSystems.exists(source):
        with FileSystems.open(source, compression_type="uncompressed") as file:
          shutil.copyfileobj(file, out, 1 << 20)
