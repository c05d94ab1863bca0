# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encode on many machines with Apache Beam.

Beam reads and encodes, which is nearly all of the work, and fills the buckets
of the spool; one process then writes the store in the order of the hashes. So
the store has the same bytes as one that was made without Beam. Only this module
and `beam_steps` import apache_beam. launch/BEAM.md says how to run it.
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
# DirectRunner now downloads a program from GitHub and runs it; this is the
# runner that it was before.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_BUCKET_BITS = 6
# A corpus above this size has 64 keys a bucket, so that 64 workers can write a
# bucket at the same time.
_LARGE_BYTES = 1 << 32
_LARGE_BITS = 12


def check(
  parts: Iterable[Corpus], *, runner: str, options: Sequence[str]
) -> None:
  """Check the arguments of `encode`, before anything is done.

  Raises:
    ValueError: a mistake in the options or in a corpus.
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

  The folder that the workers write to is noted beside the buckets. If this
  process dies and the workers finish, the next call takes their files.

  Args:
    corpus: the corpus whose sources the workers read.
    encoder: encodes a document.
    buckets: files to write, one for each bucket.
    runner: runner of Beam, as "DirectRunner".
    options: command-line options of the runner.

  Returns:
    Fields of `encode_pass.PartState`, and a function that deletes the files of
    the workers. Until it is called, another `encode` takes the same files.

  Raises:
    ValueError: text cannot be read, or the runner refuses its options.
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
        "ends, or cancel it and give --restart"
      )
    # A new name, because workers of a killed run may still write to the old.
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
      f"neither launch.prepare nor runner={runner} has "
      f"{' '.join(unknown)}; see --help"
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
  """Return a folder where workers write and this process reads."""
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
        "another Python, whose text differs; give files"
      )
    if source.readable_on == "this machine" and "dataflow" in runner.lower():
      raise ValueError(
        f"{source.name} is on this machine, and workers of {runner} cannot "
        "read it; copy it to a bucket and give gs://BUCKET/…"
      )


def _pipeline(runner: str, options: PipelineOptions) -> Any:
  """Make an empty pipeline.

  Raises:
    ValueError: the runner is not installed, or refuses its options.
  """
  if _is_local(runner):
    # Its errors reach the user as exceptions.
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
      result.cancel()  # or the job would continue, and cost
      raise
  except Exception as error:
    said = beam_steps.mistake(error)
    if not said:  # the job may still be running
      raise OSError(f"the pipeline failed: {first_line(error)}") from error
    with contextlib.suppress(Exception):
      _forget(folder)
    raise ValueError(said) from None
  if state != PipelineState.DONE:
    raise OSError(
      f"the pipeline ended as {state}; see the messages of its runner"
    )


def _counts(folder: str) -> str:
  return FileSystems.join(folder, beam_steps.COUNTS)


def _forget(folder: str) -> None:
  # A bucket has no folders, only names with a common start.
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
  """Concatenate the files of each bucket.

  Args:
    folder: where the files are.
    files: bytes of each file, by names that start with a key.
    bits: bits of a hash that make a key.
    buckets: files to write.

  Raises:
    OSError: a file does not have the size that was written.
  """
  for path in buckets:
    path.unlink(missing_ok=True)  # left by a call that was killed
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
