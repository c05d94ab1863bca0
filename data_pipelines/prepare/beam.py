# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encoding past one machine: the same pure function, on Apache Beam.

Beam reads and encodes, which is nearly all of the work, and leaves the spool's
buckets; writing a store in the order of the hashes stays with one process. So
the store has the same bytes as one that was made without Beam. Only this
module and `beam_steps` import apache_beam; launch/BEAM.md tells how to run it.
"""

import contextlib
import json
import logging
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apache_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
  GoogleCloudOptions,
  PipelineOptions,
)
from apache_beam.runners.runner import PipelineState

from bertjax.files import first_line
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.prepare import beam_steps
from data_pipelines.prepare.encoding import Encoder

_LOCAL = ("direct", "directrunner")
# What DirectRunner has long been. Now it would fetch another one first, a
# program from GitHub, and start that.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_BUCKET_BITS = 6
# Of a corpus: from there on each bucket is written by 64 workers at a time.
_LARGE_BYTES = 1 << 32
_LARGE_BITS = 12


def check(
  parts: Iterable[Corpus], *, runner: str, options: Sequence[str]
) -> None:
  """Look at what `encode` would be given, before anything is done.

  Raises:
    ValueError: a mistake in it.
  """
  parsed = _options(runner, options)
  _place(pathlib.Path(), parsed, runner)
  for corpus in parts:
    _check_sources(corpus, runner)
  _pipeline(runner, parsed)


def encode(
  corpus: Corpus,
  encoder: Encoder,
  buckets: Sequence[pathlib.Path],
  *,
  runner: str,
  options: Sequence[str],
) -> tuple[dict[str, Any], Callable[[], None]]:
  """Encode a corpus on `runner` into the files `buckets` of a spool.

  What the workers write is noted beside the buckets. If this process dies, and
  they end their work, the next call takes that over.

  Args:
    corpus: whose sources the workers read.
    encoder: what to do with each document.
    buckets: files to write, one for each bucket.
    runner: of Beam, as "DirectRunner".
    options: its command-line options.

  Returns:
    Counts, as `shuffle.PartState` calls them, and what removes the files of the
    workers; until then a call takes them over again.

  Raises:
    ValueError: text that cannot be read, or options that do not do.
    OSError: the runner gave up, or files cannot be written or are damaged.
  """
  check([corpus], runner=runner, options=options)
  parsed = _options(runner, options)
  bits = _LARGE_BITS if corpus.size > _LARGE_BYTES else _BUCKET_BITS
  note = buckets[0].with_suffix(".beam")
  folder = note.read_text(encoding="utf-8") if note.exists() else ""
  if not folder or not FileSystems.exists(_counts(folder)):
    if folder and _is_local(runner):
      _forget(folder)
    elif folder:
      raise OSError(
        f"a job of an earlier run may still write to {folder}; wait until it "
        "has ended, or cancel it and give --restart"
      )
    # A new name: workers of a run that was killed may still write there.
    name = f"bertjax-{uuid.uuid4().hex[:16]}"
    place = _place(buckets[0].parent.parent, parsed, runner)
    folder = FileSystems.join(place, name)
    note.write_text(folder, encoding="utf-8")
    _run(corpus, encoder, folder, bits, _pipeline(runner, parsed))
  with FileSystems.open(_counts(folder)) as file:
    counts = json.loads(file.read())
  _take_over(folder, counts.pop(beam_steps.FILES, {}), bits, buckets)

  def forget() -> None:
    note.unlink()
    _forget(folder)

  return counts, forget


def _is_local(runner: str) -> bool:
  return runner.lower() in _LOCAL


def _options(runner: str, options: Sequence[str]) -> PipelineOptions:
  parsed = PipelineOptions(list(options))
  unknown = _unknown(options, parsed.get_all_options())
  if unknown:
    raise ValueError(
      f"runner={runner} knows no {' '.join(unknown)}, and nor does "
      "launch.prepare; see its --help"
    )
  return parsed


def _unknown(options: Sequence[str], known: Mapping[str, Any]) -> list[str]:
  names = [option.lstrip("-").partition("=")[0] for option in options]
  return [
    option
    for option, name in zip(options, names, strict=True)
    if option.startswith("-")
    and name.removeprefix("no_") not in known
    and name not in known
  ]


def _place(here: pathlib.Path, options: PipelineOptions, runner: str) -> str:
  """A folder where workers write and this process reads."""
  if _is_local(runner):
    return str(here)
  place = options.view_as(GoogleCloudOptions).temp_location
  if not place:
    raise ValueError(
      f"runner={runner} needs a folder that its workers and this machine "
      "share; give --temp_location=gs://BUCKET/FOLDER"
    )
  return place if "://" in place else os.path.abspath(place)


def _check_sources(corpus: Corpus, runner: str) -> None:
  if _is_local(runner):
    return
  for source in corpus.sources:
    if source.readable_on == "this Python":
      raise ValueError(
        f"corpus {source.name} with runner={runner}: its workers may have "
        "another Python, with other prose; give files"
      )
    if source.readable_on == "this machine" and "dataflow" in runner.lower():
      raise ValueError(
        f"{source.name} is on this machine, and workers of {runner} cannot "
        "read it; copy it to a bucket and give gs://BUCKET/…"
      )


def _pipeline(runner: str, options: PipelineOptions) -> Any:
  """An empty pipeline.

  Raises:
    ValueError: the runner is not there, or says that its options will not do.
  """
  if _is_local(runner):
    # Whose errors reach the user anyway.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
  name = _LOCAL_RUNNER if _is_local(runner) else runner
  try:
    return apache_beam.Pipeline(runner=name, options=options)
  except ImportError as error:
    raise ValueError(f"runner={runner}: {error}; see launch/BEAM.md") from None


def _run(
  corpus: Corpus, encoder: Encoder, folder: str, bits: int, pipeline: Any
) -> None:
  if not FileSystems.exists(folder):
    FileSystems.mkdirs(folder)
  beam_steps.build(pipeline, corpus.sources, encoder, folder, bits)
  try:
    result = pipeline.run()
    try:
      state = result.wait_until_finish()
    except KeyboardInterrupt:
      result.cancel()  # or it would go on, and cost
      raise
  except Exception as error:
    said = beam_steps.mistake(error)
    if not said:  # a job that goes on, for all that is known
      raise OSError(f"the pipeline broke off: {first_line(error)}") from error
    with contextlib.suppress(Exception):
      _forget(folder)
    raise ValueError(said) from None
  if state != PipelineState.DONE:
    raise OSError(
      f"the pipeline has ended as {state}; see what its runner says"
    )


def _counts(folder: str) -> str:
  return FileSystems.join(folder, beam_steps.COUNTS)


def _forget(folder: str) -> None:
  # In a bucket there are no folders, only names that start alike.
  (found,) = FileSystems.match([FileSystems.join(folder, "*")])
  if found.metadata_list:
    FileSystems.delete([file.path for file in found.metadata_list])
  if "://" not in folder:
    FileSystems.delete([folder])


def _take_over(
  folder: str,
  files: Mapping[str, int],
  bits: int,
  buckets: Sequence[pathlib.Path],
) -> None:
  """Put the files of each bucket behind each other.

  Args:
    folder: where they lie.
    files: bytes of each, by names that start with a key.
    bits: of a hash, that make a key.
    buckets: files to write.

  Raises:
    OSError: one is not as long as it was written.
  """
  for path in buckets:
    path.unlink(missing_ok=True)  # of a call that was killed
  for name, size in sorted(files.items()):
    bucket = int(name.partition("-")[0]) >> (bits - _BUCKET_BITS)
    source = FileSystems.join(folder, name)
    with (
      FileSystems.open(source, compression_type="uncompressed") as file,
      buckets[bucket].open("ab") as out,
    ):
      before = out.tell()
      shutil.copyfileobj(file, out, 1 << 20)
      if out.tell() - before != size:
        raise OSError(
          f"{source} has {out.tell() - before} bytes; {size} were written"
        )
  for path in buckets:
    path.touch()
