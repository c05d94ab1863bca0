# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make a store from text: read, learn a tokenizer, encode, shuffle, write.

Work in progress is in OUTPUT.partial. A run that was killed continues where
its journal ends and makes the same bytes; a run that meets bad input leaves
nothing behind.
"""

import contextlib
import dataclasses
import functools
import gc
import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

from bertjax import files
from data_pipelines.prepare.encode_pass import (
  EncodePass,
  ExternalEncoder,
  Progress,
)
from data_pipelines.prepare.encoding import Encoder
from data_pipelines.prepare.learning import LETTERS, learn
from data_pipelines.prepare.options import CORPUS, Options, Plan, make_plan
from data_pipelines.prepare.workspace import (
  Workspace,
  is_made,
  remove_leftovers,
)
from data_pipelines.prepare.write_pass import WritePass
from data_pipelines.store import remote_store
from data_pipelines.store.layout import SENTENCES, TOKENIZER
from data_pipelines.store.manifest import (
  FileEntry,
  Manifest,
  TokenizerEntry,
  write_manifest,
)
from data_pipelines.store.store import open_store
from data_pipelines.store.summary import Summary, summarize
from data_pipelines.tokenizers.tokenizer import Tokenizer

_COLLECT_EVERY = 100_000  # new objects


def prepare(options: Options, progress: Progress | None = None) -> Summary:
  """Make a store, or summarize it where it exists already.

  A store for a bucket is made on this machine and copied at the end.

  Args:
    options: what to prepare.
    progress: see `Progress`.

  Raises:
    ValueError: a mistake in the options or in the text; nothing is left behind.
    OSError: the output cannot be written; a rerun continues.
  """
  progress = progress or (lambda stage, share, tokens: None)
  options = dataclasses.replace(
    options,
    output=os.path.expanduser(options.output),
    tokenizer=os.path.expanduser(options.tokenizer),
  )
  plan, url = make_plan(options), ""
  folder = files.follow(os.path.abspath(options.output))
  if remote_store.is_remote(options.output):
    url, folder = options.output, remote_store.working_folder(options.output)
  output = str(folder) if url else options.output
  if is_made(output, folder, plan.recipe):
    remove_leftovers(folder, plan.recipe)
    if url:
      remote_store.publish(folder, url)
    return summarize(open_store(options.output), new=False)
  external = _external_encoder(plan)
  with (
    _explain_write_errors(options.output),
    _rarely_collected(),
    Workspace(folder, plan.recipe, restart=options.restart) as work,
  ):
    # Another run may have finished it since this one looked.
    found = is_made(output, folder, plan.recipe)
    times = {} if found else _make(plan, work, external, progress)
  if url:
    progress(f"copy to {url}", None, 0)
    remote_store.publish(folder, url)
  summary = summarize(open_store(options.output), new=not found)
  return dataclasses.replace(summary, **times)


def _make(
  plan: Plan,
  work: Workspace,
  external: ExternalEncoder | None,
  progress: Progress,
) -> dict[str, Any]:
  """Make the store; return the fields of its summary that it took."""
  started = time.perf_counter()
  if work.resumed:
    progress(f"go on with {work.path.name}", None, 0)
  known = learn(plan, work, progress)
  learned = time.perf_counter()
  encoder = Encoder(
    known.tokenizer,
    plan.options.sentences,
    paragraphs=plan.options.deduplicate == "paragraphs",
    rules=known.rules,
  )
  encoded = EncodePass(
    plan.parts, encoder, work.path / "spool", work.parts, work.save, progress
  )
  if known.held:
    encoded.held[CORPUS] = known.held
  encoded.run(plan.options.workers, external)
  for corpus in plan.parts.values():
    corpus.check_unchanged()
  _write(plan, encoded, known.tokenizer, work, progress)
  return {
    "tokenizer_seconds": learned - started,
    "seconds": time.perf_counter() - learned,
    "tokens_encoded": encoded.tokens_encoded,
  }


def _external_encoder(plan: Plan) -> ExternalEncoder | None:
  options = plan.options
  if not options.runner:
    return None
  try:
    from data_pipelines.prepare import beam
  except ImportError:
    raise ValueError(
      f"runner={options.runner} needs Apache Beam, in an environment of its "
      "own: see launch/BEAM.md"
    ) from None
  flags = {"runner": options.runner, "options": options.beam_options}
  beam.check(plan.parts.values(), **flags)
  return functools.partial(beam.encode, **flags)


def _write(
  plan: Plan,
  encoded: EncodePass,
  tokenizer: Tokenizer,
  work: Workspace,
  progress: Progress,
) -> None:
  """Write the store with its tokenizer and manifest, and commit it."""
  written = WritePass(encoded, work.path, tokenizer.vocab_size, progress)
  splits = written.run(
    plan.share, deduplicate=plan.options.deduplicate != "none"
  )
  source = {"recipe": plan.recipe, **dataclasses.asdict(written.left_out)}
  if passed_over := plan.passed_over:
    source["passed_over"] = passed_over
  if (work.path / LETTERS).is_file():
    source["letters"] = json.loads((work.path / LETTERS).read_text("utf-8"))
  store = work.path / "store"
  shutil.copytree(work.path / TOKENIZER, store / TOKENIZER)
  entry = TokenizerEntry.of(tokenizer)
  rules = None
  if (work.path / SENTENCES).is_file():
    shutil.copy(work.path / SENTENCES, store)
    rules = FileEntry.of(store / SENTENCES)
  write_manifest(store, Manifest(source, entry, splits, rules))
  work.commit()


@contextlib.contextmanager
def _rarely_collected() -> Iterator[None]:
  """Collect garbage rarely.

  The collector would visit the documents in memory again and again, and nothing
  that is done for each of them makes cycles.
  """
  before = gc.get_threshold()
  gc.set_threshold(_COLLECT_EVERY, *before[1:])
  try:
    yield
  finally:
    gc.set_threshold(*before)


@contextlib.contextmanager
def _explain_write_errors(output: str) -> Iterator[None]:
  """Say in one line what could not be written, and that a rerun continues."""
  try:
    yield
  except BrokenPipeError:
    raise  # of the console: no file of a store is a pipe
  except OSError as error:
    # An errno means that a file of the output could not be written.
    what = "cannot write" if error.errno else "did not finish"
    raise OSError(
      f"{what} {output}: {error.strerror or error}; fix that and run the same "
      "command again to continue"
    ) from error
