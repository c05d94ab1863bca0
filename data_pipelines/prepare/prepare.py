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
import heapq
import json
import os
import pathlib
import shutil
import time
from collections.abc import Iterator

from bertjax.files import write_json
from data_pipelines.corpora import documents
from data_pipelines.prepare.encode_pass import (
  EncodePass,
  ExternalEncoder,
  Progress,
)
from data_pipelines.prepare.encoding import Encoder
from data_pipelines.prepare.options import CORPUS, Options, Plan, make_plan
from data_pipelines.prepare.workspace import Workspace, is_made
from data_pipelines.prepare.write_pass import WritePass
from data_pipelines.store import remote_store
from data_pipelines.store.layout import TOKENIZER
from data_pipelines.store.manifest import (
  Manifest,
  TokenizerEntry,
  write_manifest,
)
from data_pipelines.store.store import open_store
from data_pipelines.store.summary import Summary, summarize
from data_pipelines.tokenizers import (
  letters,
  tokenizers,
  vocabulary_extension,
)
from data_pipelines.tokenizers.tokenizer import Tokenizer

_LETTERS = "letters.json"  # what the tokenizer does to the letters
_HELD_CHARACTERS = 32  # memory of a sampled document beside its text


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
  folder = pathlib.Path(os.path.abspath(options.output))
  if remote_store.is_remote(options.output):
    url, folder = options.output, remote_store.working_folder(options.output)
  if is_made(str(folder) if url else options.output, folder, plan.recipe):
    if url:
      remote_store.publish(folder, url)
    return summarize(open_store(options.output), new=False)
  external = _external_encoder(plan)
  with (
    _explain_write_errors(options.output),
    Workspace(folder, plan.recipe, restart=options.restart) as work,
  ):
    started = time.perf_counter()
    tokenizer = _tokenizer(plan, work, progress)
    learned = time.perf_counter()
    encoder = Encoder(
      tokenizer,
      options.sentences,
      paragraphs=options.deduplicate == "paragraphs",
    )
    encoded = EncodePass(
      plan.parts, encoder, work.path / "spool", work.parts, work.save, progress
    )
    encoded.run(options.workers, external)
    _write(plan, encoded, tokenizer, work, progress)
    done = time.perf_counter()
  if url:
    progress(f"copy to {url}", None, 0)
    remote_store.publish(folder, url)
  return dataclasses.replace(
    summarize(open_store(options.output), new=True),
    tokenizer_seconds=learned - started,
    seconds=done - learned,
    tokens_encoded=encoded.tokens_encoded,
  )


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
  if (work.path / _LETTERS).is_file():
    source["letters"] = json.loads((work.path / _LETTERS).read_text("utf-8"))
  store = work.path / "store"
  shutil.copytree(work.path / TOKENIZER, store / TOKENIZER)
  entry = TokenizerEntry(
    tokenizer.name,
    tokenizer.sha256,
    tokenizer.vocab_size,
    {**tokenizer.special_ids},
  )
  write_manifest(store, Manifest(source, entry, splits))
  work.commit()


@contextlib.contextmanager
def _explain_write_errors(output: str) -> Iterator[None]:
  """Say in one line what could not be written, and that a rerun continues."""
  try:
    yield
  except OSError as error:
    # An errno means that a file of the output could not be written.
    what = "cannot write" if error.errno else "did not finish"
    raise OSError(
      f"{what} {output}: {error.strerror or error}; fix that and run the same "
      "command again to continue"
    ) from error


def _tokenizer(plan: Plan, work: Workspace, progress: Progress) -> Tokenizer:
  folder = work.path / TOKENIZER
  if work.resumed:
    return tokenizers.load(folder)
  options, tokenizer = plan.options, plan.tokenizer
  if tokenizer is None:
    texts = _sample(plan, options.tokenizer, progress)
    progress(f"learn {options.tokenizer}", None, 0)
    tokenizer = tokenizers.train(
      texts,
      options.tokenizer,
      plan.vocab_size,
      lowercase=not options.cased,
      strip_accents=options.strip_accents,
      normalization=options.normalization,
    )
    tokenizer.save(folder)
  elif options.extend_vocab:
    texts = _sample(plan, "wordpiece", progress)
    progress("learn more tokens", None, 0)
    extension = vocabulary_extension.extend(
      tokenizer, texts, options.extend_vocab
    )
    extension.save(folder)
    tokenizer = extension.tokenizer
  else:
    texts = _beginning(plan, progress)
    tokenizer.save(folder)
    vocabulary_extension.keep_record(options.tokenizer, folder)
  measured = letters.measure_letters(tokenizer, texts)
  write_json(work.path / _LETTERS, dataclasses.asdict(measured))
  # A rerun from here on uses this tokenizer.
  work.save()
  return tokenizer


def _beginning(plan: Plan, progress: Progress) -> Iterator[str]:
  """Yield the documents at the beginning of the corpus."""
  progress("read for the tokenizer", None, 0)
  for document in plan.parts[CORPUS]:
    yield document.text


def _sample(plan: Plan, kind: str, progress: Progress) -> list[str]:
  """Sample training documents to learn a tokenizer from.

  The sample is the documents with the smallest hashes, in the order of their
  hashes, up to a number of characters, so that the tokenizer does not depend
  on how the corpus is cut into files.
  """
  corpus, share = plan.parts[CORPUS], plan.share
  held: list[tuple[int, str]] = []  # a heap, the largest hash first
  size, spare = 0, ""
  progress("read for the tokenizer", None, 0)
  for document in corpus:
    progress("read for the tokenizer", corpus.share_read, 0)
    digest = documents.digest(document.text)
    if documents.share(digest) < share:
      spare = document.text
      continue
    rank = int.from_bytes(documents.order(digest), "big")
    heapq.heappush(held, (-rank, document.text))
    size += len(document.text) + _HELD_CHARACTERS
    while size > tokenizers.SAMPLE_CHARACTERS[kind] and len(held) > 1:
      size -= len(heapq.heappop(held)[1]) + _HELD_CHARACTERS
  if not held and not spare:
    raise ValueError(f"corpus {corpus.spec} has no text; give another")
  # All of very few documents may be in validation.
  return [text for _, text in sorted(held, reverse=True)] or [spare]
