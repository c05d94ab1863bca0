# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Label the rows of a file with a fine-tuned model."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from bertjax.checkpoints.bundle import RECORD
from bertjax.files import sha256_of
from launch.commands import output_paths
from launch.inference import stream
from launch.inference.answers_by_id import check_ids, is_by_id, write_by_id
from launch.inference.checks import check_texts
from launch.inference.inputs import Examined, Source, examine
from launch.inference.outputs import Journal, JsonLines, Output, to_line
from launch.inference.predictor import Predictor, Started, load_predictor
from launch.inference.records import Record, has_alternatives, make_record
from launch.preflight.policy import DEFAULT, Policy

# Alternatives of a row, if not told.
TOP_K = 5


@dataclasses.dataclass(frozen=True)
class Options:
  """How a file is labeled.

  Attributes:
    verb: verb that the model's task must have; None allows any.
    top_k: largest number of alternatives of a row; None is TOP_K.
    batch_size: rows of 16 tokens that are computed at once; 0 suits the
      devices.
    pack: whether several short texts share a row.
    calibrate: whether logits are divided by the model's temperature.
    policy: limits of the checks.
  """

  verb: str | None = None
  top_k: int | None = None
  batch_size: int = 0
  pack: bool = False
  calibrate: bool = False
  policy: Policy = DEFAULT


class _Printed:
  """Lines of JSON on standard output."""

  def write(self, results: list[Mapping[str, Any]]) -> None:
    sys.stdout.write("".join(map(to_line, results)))

  def sync(self) -> int:
    sys.stdout.flush()
    return 0

  def close(self) -> None:
    self.sync()


def label_file(
  bundle: str, source: Source, path: str, options: Options | None = None
) -> None:
  """Write a line of JSON for every row of a source, in order.

  Rows that a process wrote before it was killed are kept.

  Args:
    bundle: folder of the fine-tuned model.
    source: the rows.
    path: the file to write; "" is standard output, which is not resumed.
    options: how to label.

  Raises:
    ValueError: an argument, the source or a row cannot be used, or the file is
      of another input.
  """
  options = options or Options()
  top_k = check_top_k(options.top_k)
  output_paths.check_file("output", path)
  read = {"bundle": bundle, "input": source.path}
  output_paths.check_outside("output", path, read)
  if by_id := is_by_id(source, path):
    check_ids(source, path, options.top_k)
  elif path and pathlib.Path(path).suffix != ".jsonl":
    raise ValueError(f"--output={path} gets lines of JSON; give a .jsonl file")
  if source.is_stdin:
    stream.tell("standard input is read once, so that this cannot be resumed")
  examined = None if source.is_stdin else examine(source)
  predictor = load_predictor(
    bundle,
    batch_size=options.batch_size,
    pack=options.pack,
    calibrate=options.calibrate,
  )
  check_verb(bundle, predictor, options.verb)
  check_alternatives(predictor, options.top_k)
  predictor.check_form(
    pairs=bool(source.columns.text_pair), choices=bool(source.columns.others)
  )
  job = _make_job(predictor, source, examined, options)
  if not path:
    job.write(Journal({}), _Printed())
    return
  identity = examined and {
    **examined.identity,
    "model": sha256_of(pathlib.Path(bundle) / RECORD),
    "top_k": top_k,
    "batch_size": predictor.forward.batch_size,
    "pack": options.pack,
    "calibrate": options.calibrate,
  }
  output = Output(pathlib.Path(path), identity)
  job.make_file(
    output,
    JsonLines,
    lambda rows: write_by_id(rows, output.complete) if by_id else None,
  )


def check_top_k(top_k: int | None) -> int:
  """Return a number of answers; TOP_K for None.

  Raises:
    ValueError: it is below 1.
  """
  if top_k is not None and top_k < 1:
    raise ValueError(f"top_k={top_k}; give 1 or more")
  return top_k or TOP_K


def check_alternatives(predictor: Predictor, top_k: int | None) -> None:
  """Refuse a number of answers where all answers belong together.

  Raises:
    ValueError: there is one, and the answers are no alternatives.
  """
  task = predictor.model.task
  if top_k is not None and not has_alternatives(task):
    raise ValueError(
      f"top_k={top_k} has no effect: {task.name} leaves no answer out; leave "
      "--top_k out"
    )


def check_verb(bundle: str, predictor: Predictor, verb: str | None) -> None:
  """Refuse a model that does something else.

  Raises:
    ValueError: it has another verb than `verb`.
  """
  known = predictor.model.task.verb
  if verb not in {None, known}:
    raise ValueError(f"{bundle} cannot {verb}; give --task={known}")


def _make_job(
  predictor: Predictor,
  source: Source,
  examined: Examined | None,
  options: Options,
) -> stream.Job:
  words = source.form is not None and source.form.words
  return stream.Job(
    _make_worker(predictor, check_top_k(options.top_k), words=words),
    source,
    examined,
    check=lambda counts, rows: check_texts(
      counts, rows, predictor.model.head.seq_length, options.policy
    ),
    tell_how=lambda: _tell_shapes(predictor, options),
  )


def _make_worker(
  predictor: Predictor, top_k: int, *, words: bool
) -> stream.Worker:
  task = predictor.model.task

  def finish(started: Started, lines: list[int]) -> list[Record]:
    answers = predictor.finish(started)
    ids = started.inputs.ids
    names = [{"id": each} for each in ids] if ids else [{}] * len(lines)
    return [
      {"line": line, **name, **make_record(task, each, top_k)}
      for line, name, each in zip(lines, names, answers, strict=True)
    ]

  def finish_words(started: Started, lines: list[int]) -> list[Record]:
    return [
      {
        "line": line,
        "words": each.words,
        "tags": each.tags,
        **make_record(task, each.answers),
      }
      for line, each in zip(lines, predictor.finish_words(started), strict=True)
    ]

  return stream.Worker(
    predictor.encode,
    predictor.start,
    finish_words if words else finish,
    predictor.forward.batch_size,
    lambda: predictor.forward.compiled,
  )


def _tell_shapes(predictor: Predictor, options: Options) -> None:
  stream.tell(predictor.describe_shapes())
  for flag in ("batch_size", "pack"):
    if getattr(options, flag):
      stream.tell(
        f"--{flag} may change the last bits: probabilities differ by 1e-6 at "
        "most from those without it"
      )
