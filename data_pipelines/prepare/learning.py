# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learn from a sample of the corpus: a tokenizer, and how sentences end."""

import dataclasses
import heapq
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from bertjax import files
from data_pipelines.corpora import documents, sentence_learning
from data_pipelines.corpora.sentence_rules import PRIOR, SentenceRules
from data_pipelines.prepare.encode_pass import Held, Progress
from data_pipelines.prepare.encoding import Hashed
from data_pipelines.prepare.options import CORPUS, Plan
from data_pipelines.prepare.workspace import Workspace
from data_pipelines.store.layout import SENTENCES, TOKENIZER
from data_pipelines.tokenizers import letters, tokenizers, vocabulary_extension
from data_pipelines.tokenizers.tokenizer import Tokenizer

LETTERS = "letters.json"  # what the tokenizer does to the letters
_HELD_CHARACTERS = 32  # memory of a sampled document beside its text
# A corpus up to this size stays in memory for the encoder, so that it is read
# and hashed once.
_MAX_HELD = 33_554_432  # characters


class Learned(NamedTuple):
  """What a store is made with.

  Attributes:
    tokenizer: the tokenizer.
    rules: how sentences end.
    held: the corpus, if it was read for them and is small.
  """

  tokenizer: Tokenizer
  rules: SentenceRules
  held: Held | None


def learn(plan: Plan, work: Workspace, progress: Progress) -> Learned:
  """Learn what the options ask for, or read what an earlier run has learned.

  Raises:
    ValueError: the corpus has no text, or cannot be read.
  """
  folder, rules_file = work.path / TOKENIZER, work.path / SENTENCES
  segments = plan.options.sentences == "segment"
  if work.resumed:
    rules = _read_rules(rules_file) if segments else PRIOR
    return Learned(tokenizers.load(folder), rules, None)
  sample = _Sample(plan, progress)
  tokenizer = _tokenizer(plan, sample, folder, progress)
  # Lines that a given tokenizer encodes need no sample.
  needless = not segments and _is_given(plan)
  texts = _beginning(plan, progress) if needless else sample.texts()
  measured = letters.measure_letters(tokenizer, texts)
  files.write_json(work.path / LETTERS, dataclasses.asdict(measured))
  rules = PRIOR
  if segments:
    # What the file says, as a later run and every worker get it.
    rules = sentence_learning.learn_rules(sample.texts())
    files.write_text(rules_file, rules.to_json())
    rules = _read_rules(rules_file)
  # A rerun from here on uses this tokenizer and these rules.
  work.save()
  return Learned(tokenizer, rules, sample.held)


def _is_given(plan: Plan) -> bool:
  """Return whether the tokenizer is used as it is."""
  return plan.tokenizer is not None and not plan.options.extend_vocab


def _beginning(plan: Plan, progress: Progress) -> Iterator[str]:
  """Yield the documents at the beginning of the corpus."""
  progress("read to learn from", None, 0)
  for document in plan.parts[CORPUS]:
    yield document.text


def _read_rules(path: pathlib.Path) -> SentenceRules:
  try:
    return SentenceRules.from_json(path.read_text(encoding="utf-8"))
  except (OSError, ValueError) as error:
    raise ValueError(
      f"{path} cannot be read ({files.first_line(error)}); give --restart to "
      "begin again"
    ) from None


def _tokenizer(
  plan: Plan, sample: "_Sample", folder: pathlib.Path, progress: Progress
) -> Tokenizer:
  options, tokenizer = plan.options, plan.tokenizer
  if tokenizer is None:
    texts = sample.texts()
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
    texts = sample.texts()
    progress("learn more tokens", None, 0)
    extension = vocabulary_extension.extend(
      tokenizer, texts, options.extend_vocab
    )
    extension.save(folder)
    tokenizer = extension.tokenizer
  else:
    tokenizer.save(folder)
    vocabulary_extension.keep_record(options.tokenizer, folder)
  return tokenizer


class _Sample:
  """Training documents to learn from, read when they are asked for.

  The sample is the documents with the smallest hashes, in the order of their
  hashes, up to a number of characters, so that what is learned does not depend
  on how the corpus is cut into files.

  Attributes:
    held: all documents, once `texts` was called and if they are few.
  """

  def __init__(self, plan: Plan, progress: Progress) -> None:
    """Prepare to read the corpus of `plan`."""
    self.held: Held | None = None
    self._plan = plan
    self._progress = progress
    self._texts: list[str] | None = None
    options = plan.options
    kind = "wordpiece" if options.extend_vocab else options.tokenizer
    # A tokenizer that is given leaves only sentences to learn. Twice as much,
    # because the sample counts more than characters.
    self._size = tokenizers.SAMPLE_CHARACTERS.get(
      kind, 2 * sentence_learning.SAMPLE_CHARACTERS
    )
    # Only what sentences are learned from is held.
    self._cut = sentence_learning.middle if _is_given(plan) else str

  def texts(self) -> list[str]:
    """Return the sample.

    Raises:
      ValueError: the corpus has no text.
    """
    if self._texts is None:
      self._texts = self._read()
    return self._texts

  def _read(self) -> list[str]:
    corpus, share = self._plan.parts[CORPUS], self._plan.share
    ranked: list[tuple[int, str]] = []  # a heap, the largest hash first
    size, spare, read = 0, "", 0
    held: list[Hashed] | None = []
    full = False
    self._progress("read to learn from", None, 0)
    for document in corpus:
      self._progress("read to learn from", corpus.share_read, 0)
      digest = documents.digest(document.text)
      read += len(document.text) + _HELD_CHARACTERS
      if read > _MAX_HELD:
        held = None
      if held is not None:
        held.append(Hashed(digest, document.text))
      if share and documents.share(digest) < share:
        spare = document.text
        continue
      rank = int.from_bytes(documents.order(digest), "big")
      if full and rank > -ranked[0][0]:
        continue
      text = self._cut(document.text)
      heapq.heappush(ranked, (-rank, text))
      size += len(text) + _HELD_CHARACTERS
      while size > self._size and len(ranked) > 1:
        full = True
        size -= len(heapq.heappop(ranked)[1]) + _HELD_CHARACTERS
    if not ranked and not spare:
      raise ValueError(f"corpus {corpus.spec} has no text; give another")
    if held is not None:
      self.held = Held(held, corpus.counts)
    # All of very few documents may be in validation.
    return [text for _, text in sorted(ranked, reverse=True)] or [spare]
