# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Text to a store: read, learn a tokenizer, encode, shuffle, write.

Work in progress lies in OUTPUT.partial. A run that was killed goes on where
its journal ends and makes the same bytes; one that meets bad input leaves
nothing behind.
"""

import contextlib
import dataclasses
import heapq
import time
from collections.abc import Iterator
from typing import Any

from data_pipelines import documents, sentences, tokenizers
from data_pipelines.corpora import Corpus
from data_pipelines.pieces import Tokenizer
from data_pipelines.shuffle import (
  CORPUS,
  VALIDATION,
  Progress,
  Shuffle,
  write_identity,
)
from data_pipelines.store import open_store
from data_pipelines.summary import Summary, summarize
from data_pipelines.workspace import Workspace, check_output

DEFAULT_VOCAB_SIZE = 30_522  # BERT's
# Of text, that a tokenizer is learnt from: more changes few pieces.
_SAMPLE_CHARACTERS = 100_000_000


@dataclasses.dataclass(frozen=True)
class Options:
  """What to prepare, and how.

  Attributes:
    corpus: "stdlib", files or globs, comma-separated.
    output: folder of the store.
    documents: "file" or "blank_line", for .txt.
    sentences: "segment" or "lines".
    validation: share of documents, chosen by hash, or files or globs.
    tokenizer: "wordpiece" or "sentencepiece" to learn one; else a vocab.txt,
      a spiece.model, or a folder with one.
    vocab_size: pieces of a new tokenizer; 0 takes 30,522.
    skip_bad_records: count lines that cannot be read instead of refusing.
    restart: forget what an earlier run has left unfinished.
    workers: processes that encode; 0 encodes in this one.
  """

  corpus: str
  output: str
  documents: str = "file"
  sentences: str = "segment"
  validation: str = "0.05"
  tokenizer: str = "wordpiece"
  vocab_size: int = 0
  skip_bad_records: bool = False
  restart: bool = False
  workers: int = 0


@dataclasses.dataclass(frozen=True)
class _Plan:
  """Options that have been looked at.

  Attributes:
    parts: "corpus" and maybe "validation".
    share: of the corpus that goes to validation.
    tokenizer: the one given, None to learn one.
    vocab_size: of the one to learn.
    recipe: all that the store's bytes follow from, without a path.
  """

  parts: dict[str, Corpus]
  share: float
  tokenizer: Tokenizer | None
  vocab_size: int
  recipe: dict[str, Any]


def prepare(options: Options, progress: Progress | None = None) -> Summary:
  """Make a store, or say what is in it where it is made already.

  Args:
    options: what to prepare.
    progress: called now and then with the stage, the share of it that is
      done (None where nobody can tell) and the tokens so far.

  Raises:
    ValueError: a mistake in the options or in the text; nothing is left.
    OSError: the output cannot be written; a rerun goes on.
  """
  progress = progress or (lambda stage, share, tokens: None)
  plan = _plan(options)
  output = check_output(options.output, plan.recipe)
  if output is None:
    return summarize(open_store(options.output), new=False)
  with (
    _told(options.output),
    Workspace(output, plan.recipe, restart=options.restart) as work,
  ):
    started = time.perf_counter()
    tokenizer = _tokenizer(plan, options.tokenizer, work, progress)
    learned = time.perf_counter()
    shuffle = Shuffle(plan.parts, tokenizer, work, progress)
    shuffle.encode(mode=options.sentences, workers=options.workers)
    splits = shuffle.write(plan.share)
    source = {"recipe": plan.recipe, **shuffle.counts()}
    write_identity(work, tokenizer, source, splits)
    work.commit()
    done = time.perf_counter()
  return dataclasses.replace(
    summarize(open_store(output), new=True),
    tokenizer_seconds=0.0 if plan.tokenizer else learned - started,
    seconds=done - learned,
    tokens_encoded=shuffle.tokens_encoded,
  )


def _plan(options: Options) -> _Plan:
  if options.sentences not in sentences.MODES:
    raise ValueError(
      f"sentences={options.sentences!r}; choose from "
      f"{', '.join(sentences.MODES)}"
    )
  if options.workers < 0 or options.vocab_size < 0:
    raise ValueError(
      f"workers={options.workers}, vocab_size={options.vocab_size}; give "
      "numbers of at least 0"
    )
  parts = {CORPUS: _corpus(options.corpus, options)}
  share = _share(options.validation)
  if share is None:
    parts[VALIDATION] = _corpus(options.validation, options)
  tokenizer, vocab_size, learn = _wanted_tokenizer(options)
  recipe = {
    "corpus": parts[CORPUS].identity(),
    "validation": (
      share if share is not None else parts[VALIDATION].identity()
    ),
    "sentences": options.sentences,
    "tokenizer": learn,
    "skip_bad_records": options.skip_bad_records,
  }
  return _Plan(parts, share or 0.0, tokenizer, vocab_size, recipe)


def _corpus(spec: str, options: Options) -> Corpus:
  return Corpus(
    spec,
    documents=options.documents,
    skip_bad_records=options.skip_bad_records,
  )


def _share(validation: str) -> float | None:
  try:
    share = float(validation)
  except ValueError:
    return None
  if not 0 <= share < 1:
    raise ValueError(
      f"validation={validation}; give a share from 0 to below 1, or files"
    )
  return share


def _wanted_tokenizer(
  options: Options,
) -> tuple[Tokenizer | None, int, dict[str, Any]]:
  """The tokenizer given, or else its size; and its part of the recipe."""
  if options.tokenizer in tokenizers.KINDS:
    vocab_size = options.vocab_size or DEFAULT_VOCAB_SIZE
    return None, vocab_size, {"learn": options.tokenizer, "size": vocab_size}
  tokenizer = tokenizers.load(options.tokenizer)
  if options.vocab_size not in (0, tokenizer.vocab_size):
    raise ValueError(
      f"vocab_size={options.vocab_size}, but {options.tokenizer} has "
      f"{tokenizer.vocab_size} pieces; leave vocab_size out"
    )
  return tokenizer, tokenizer.vocab_size, {"sha256": tokenizer.sha256}


@contextlib.contextmanager
def _told(output: str) -> Iterator[None]:
  """Say in one line what could not be written, and that a rerun goes on."""
  try:
    yield
  except OSError as error:
    raise OSError(
      f"cannot write {output}: {error.strerror or error}; when that is "
      "mended, the same command goes on"
    ) from error


def _tokenizer(
  plan: _Plan, kind: str, work: Workspace, progress: Progress
) -> Tokenizer:
  folder = work.path / "tokenizer"
  if work.resumed:
    return tokenizers.load(folder)
  tokenizer = plan.tokenizer
  if tokenizer is None:
    texts = _sample(plan.parts[CORPUS], plan.share, progress)
    progress(f"learn {kind}", None, 0)
    tokenizer = tokenizers.train(texts, kind, plan.vocab_size)
  tokenizer.save(folder)
  # From here on there is something to go on with, and it has these pieces.
  work.save()
  return tokenizer


def _sample(corpus: Corpus, share: float, progress: Progress) -> list[str]:
  """Training documents with the least hashes, up to a size, in that order.

  So what is learnt does not depend on how the corpus lies in files.
  """
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
    size += len(document.text)
    while size > _SAMPLE_CHARACTERS and len(held) > 1:
      size -= len(heapq.heappop(held)[1])
  if not held and not spare:
    raise ValueError(f"corpus {corpus.spec} holds no text; give another")
  # A handful of documents can all be in the share.
  return [text for _, text in sorted(held, reverse=True)] or [spare]
