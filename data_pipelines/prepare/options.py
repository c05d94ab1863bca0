# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What to prepare: options, looked at before anything is read or written."""

import dataclasses
from typing import Any

from data_pipelines.corpora import sentences
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.prepare.shuffle import CORPUS, VALIDATION
from data_pipelines.tokenizers import tokenizers, vocabulary_extension
from data_pipelines.tokenizers.tokenizer import Tokenizer

DEFAULT_VOCAB_SIZE = 30_522  # BERT's
DEDUPLICATE = ("none", "documents", "paragraphs")


@dataclasses.dataclass(frozen=True)
class Options:
  """What to prepare, and how.

  Attributes:
    corpus: comma-separated; see `corpus.Corpus`.
    output: folder of the store.
    documents: "file" or "blank_line", for .txt.
    sentences: "segment" or "lines".
    validation: share of documents, chosen by hash, or a corpus.
    tokenizer: one of `tokenizers.KINDS` to learn one; else a vocab.txt, a
      spiece.model, or a folder with one.
    vocab_size: pieces of a new tokenizer; 0 takes 30,522.
    cased: whether a new tokenizer tells capitals from small letters.
    extend_vocab: pieces of this corpus to add to a WordPiece vocabulary that
      is given.
    text_field: name of the text in .jsonl and .parquet.
    tfds_data_dir: where prepared TFDS datasets lie; "" is their default.
    min_characters: shorter documents are left out.
    deduplicate: "documents" leaves out those that stand there already word
      for word, "paragraphs" their repeated paragraphs, too.
    skip_bad_records: count lines that cannot be read instead of refusing.
    restart: forget what an earlier run has left unfinished.
    workers: processes that encode; 0 encodes in this one.
    runner: of Apache Beam, that encodes instead; "" for none.
    beam_options: command-line options of that runner.
  """

  corpus: str
  output: str
  documents: str = "file"
  sentences: str = "segment"
  validation: str = "0.05"
  tokenizer: str = "wordpiece"
  vocab_size: int = 0
  cased: bool = False
  extend_vocab: int = 0
  text_field: str = "text"
  tfds_data_dir: str = ""
  min_characters: int = 0
  deduplicate: str = "none"
  skip_bad_records: bool = False
  restart: bool = False
  workers: int = 0
  runner: str = ""
  beam_options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
  """Options that have been looked at.

  Attributes:
    options: as given.
    parts: "corpus" and maybe "validation".
    share: of the corpus that goes to validation.
    tokenizer: the one given, None to learn one.
    vocab_size: of the one to learn.
    recipe: all that the store's bytes follow from, without a path.
  """

  options: Options
  parts: dict[str, Corpus]
  share: float
  tokenizer: Tokenizer | None
  vocab_size: int
  recipe: dict[str, Any]


def make_plan(options: Options) -> Plan:
  """Look at the options, and at what they name.

  Raises:
    ValueError: a mistake in them.
  """
  _check(options)
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
  if options.deduplicate != "none":  # older recipes do not speak of it
    recipe["deduplicate"] = options.deduplicate
  return Plan(options, parts, share or 0.0, tokenizer, vocab_size, recipe)


def _check(options: Options) -> None:
  for name, choices in (
    ("sentences", sentences.MODES),
    ("deduplicate", DEDUPLICATE),
  ):
    if getattr(options, name) not in choices:
      raise ValueError(
        f"{name}={getattr(options, name)!r}; choose from {', '.join(choices)}"
      )
  for name in ("workers", "vocab_size", "extend_vocab", "min_characters"):
    if getattr(options, name) < 0:
      raise ValueError(f"{name}={getattr(options, name)}; give at least 0")
  if options.runner and options.workers:
    raise ValueError(
      f"workers={options.workers} with runner={options.runner}; leave workers "
      "out: the runner has its own"
    )


def _corpus(spec: str, options: Options) -> Corpus:
  return Corpus(
    spec,
    documents=options.documents,
    skip_bad_records=options.skip_bad_records,
    text_field=options.text_field,
    min_characters=options.min_characters,
    tfds_data_dir=options.tfds_data_dir,
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
    if options.extend_vocab:
      raise ValueError(
        f"extend_vocab={options.extend_vocab} with a new tokenizer; give the "
        "one to extend, as --tokenizer=DIR"
      )
    vocab_size = options.vocab_size or DEFAULT_VOCAB_SIZE
    learn = {"learn": options.tokenizer, "size": vocab_size}
    return None, vocab_size, learn | ({"cased": True} if options.cased else {})
  tokenizer = tokenizers.load(options.tokenizer)
  if options.cased and tokenizer.lowercase:
    raise ValueError(
      f"cased=True, but {options.tokenizer} folds case; leave cased out, or "
      f"learn one with --tokenizer={' or '.join(tokenizers.KINDS)}"
    )
  if options.vocab_size not in (0, tokenizer.vocab_size):
    raise ValueError(
      f"vocab_size={options.vocab_size}, but {options.tokenizer} has "
      f"{tokenizer.vocab_size} pieces; leave vocab_size out"
    )
  given: dict[str, Any] = {"sha256": tokenizer.sha256}
  if options.extend_vocab:
    vocabulary_extension.check_extendable(tokenizer, options.extend_vocab)
    given["extend"] = options.extend_vocab
  return tokenizer, tokenizer.vocab_size, given
