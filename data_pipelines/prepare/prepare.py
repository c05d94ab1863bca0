# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Text to a store: read, learn a tokenizer, encode, shuffle, write.

Work in progress lies in OUTPUT.partial. A run that was killed goes on where
its journal ends and makes the same bytes; one that meets bad input leaves
nothing behind.
"""

import contextlib
import dataclasses
import functools
import heapq
import os
import pathlib
import time
from collections.abc import Iterator

from data_pipelines.corpora import documents
from data_pipelines.prepare.encoding import Encoder
from data_pipelines.prepare.options import Options, Plan, make_plan
from data_pipelines.prepare.shuffle import (
  CORPUS,
  TOKENIZER,
  Elsewhere,
  Progress,
  Shuffle,
  write_identity,
)
from data_pipelines.prepare.workspace import Workspace, is_made
from data_pipelines.store import remote_store
from data_pipelines.store.store import open_store
from data_pipelines.store.summary import Summary, summarize
from data_pipelines.tokenizers import tokenizers, vocabulary_extension
from data_pipelines.tokenizers.tokenizer import Tokenizer

_HELD = 32  # characters, that holding a document costs at least


def prepare(options: Options, progress: Progress | None = None) -> Summary:
  """Make a store, or say what is in it where it is made already.

  Args:
    options: what to prepare.
    progress: called now and then with the stage, the share of it that is
      done (None where nobody can tell) and the tokens so far.

  A store that goes to a bucket is made on this machine first.

  Raises:
    ValueError: a mistake in the options or in the text; nothing is left.
    OSError: the output cannot be written; a rerun goes on.
  """
  progress = progress or (lambda stage, share, tokens: None)
  plan, url = make_plan(options), ""
  folder = pathlib.Path(os.path.abspath(options.output))
  if remote_store.is_remote(options.output):
    url, folder = options.output, remote_store.working_folder(options.output)
  if is_made(str(folder) if url else options.output, folder, plan.recipe):
    if url:
      remote_store.publish(folder, url)
    return summarize(open_store(options.output), new=False)
  elsewhere = _elsewhere(plan)
  with (
    _told(options.output),
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
    shuffle = Shuffle(plan.parts, encoder, work, progress)
    shuffle.encode(options.workers, elsewhere)
    splits = shuffle.write(
      plan.share, deduplicate=options.deduplicate != "none"
    )
    source = {"recipe": plan.recipe, **shuffle.counts()}
    write_identity(work, tokenizer, source, splits)
    work.commit()
    done = time.perf_counter()
  if url:
    progress(f"copy to {url}", None, 0)
    remote_store.publish(folder, url)
  return dataclasses.replace(
    summarize(open_store(options.output), new=True),
    tokenizer_seconds=learned - started,
    seconds=done - learned,
    tokens_encoded=shuffle.tokens_encoded,
  )


def _elsewhere(plan: Plan) -> Elsewhere | None:
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


@contextlib.contextmanager
def _told(output: str) -> Iterator[None]:
  """Say in one line what could not be written, and that a rerun goes on."""
  try:
    yield
  except OSError as error:
    # An errno means that a file of the output could not be written.
    what = "cannot write" if error.errno else "have not finished"
    raise OSError(
      f"{what} {output}: {error.strerror or error}; when that is mended, the "
      "same command goes on"
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
      texts, options.tokenizer, plan.vocab_size, lowercase=not options.cased
    )
    tokenizer.save(folder)
  elif options.extend_vocab:
    texts = _sample(plan, "wordpiece", progress)
    progress("learn more pieces", None, 0)
    extension = vocabulary_extension.extend(
      tokenizer, texts, options.extend_vocab
    )
    extension.save(folder)
    tokenizer = extension.tokenizer
  else:
    tokenizer.save(folder)
    vocabulary_extension.keep_record(options.tokenizer, folder)
  # From here on there is something to go on with, and it has these pieces.
  work.save()
  return tokenizer


def _sample(plan: Plan, kind: str, progress: Progress) -> list[str]:
  """Training documents with the least hashes, up to a size, in that order.

  So what is learnt does not depend on how the corpus lies in files.
  """
  corpus, share = plan.parts[CORPUS], plan.share
  held: list[tuple[int, str]] = []  # a heap, the greatest hash first
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
    size += len(document.text) + _HELD
    while size > tokenizers.SAMPLE_CHARACTERS[kind] and len(held) > 1:
      size -= len(heapq.heappop(held)[1]) + _HELD
  if not held and not spare:
    raise ValueError(f"corpus {corpus.spec} holds no text; give another")
  # A handful of documents can all be in the share.
  return [text for _, text in sorted(held, reverse=True)] or [spare]
