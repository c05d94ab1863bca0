# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Options of preparing, checked before anything is read or written."""

import dataclasses
import os
from collections import Counter
from typing import Annotated, Any, Literal

from bertjax.config.fields import AtLeast, AtMost, check_types
from data_pipelines.corpora.compression import ZSTD_LONG
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.sentences import Mode
from data_pipelines.tokenizers import tokenizers, vocabulary_extension
from data_pipelines.tokenizers.tokenizer import Tokenizer

CORPUS, VALIDATION = "corpus", "validation"  # parts of a plan
DEFAULT_VOCAB_SIZE = 30_522  # BERT's
# Grows where equal options make other bytes of equal text. Version 2 cuts
# sentences by learned rules and hashes documents without their white space.
TEXT_VERSION = 2
Count = Annotated[int, AtLeast(0)]
# Trainers take memory for all tokens at once, and a process without it aborts.
Tokens = Annotated[int, AtLeast(0), AtMost(2**20)]


@dataclasses.dataclass(frozen=True)
class Options:
  """What to prepare, and how.

  Attributes:
    corpus: comma-separated parts; see `corpus.Corpus`.
    output: folder of the store, or its URL in a bucket.
    documents: what a document of a .txt file is, "file" or "blank_line".
    sentences: how sentences are found, "segment" or "lines".
    validation: share of the documents, chosen by hash, or another corpus.
    tokenizer: one of `tokenizers.KINDS` to learn a tokenizer, or the path of a
      vocab.txt, of a tokenizer.json, of a spiece.model, of a vocab.json beside
      a merges.txt, or of a folder with one of them.
    vocab_size: tokens of a new vocabulary; 0 takes 30,522.
    cased: whether a new tokenizer keeps upper and lower case apart; those of
      RoBERTa and ModernBERT always do.
    strip_accents: whether a new WordPiece or ALBERT tokenizer removes accents,
      vowel signs and other marks; None does so in ALBERT's, and in WordPiece if
      case is folded, as BERT does.
    normalization: Unicode form of a new tokenizer's text; "" takes the usual
      one of its kind.
    extend_vocab: tokens of this corpus to add to the WordPiece vocabulary that
      `tokenizer` names.
    text_field: field, column or feature that has the text.
    zstd_long: largest window of .zst files; see `reading.ReadOptions`.
    tfds_data_dir: folder of prepared TFDS datasets; "" takes the default.
    min_characters: shorter documents are left out.
    deduplicate: "documents" leaves out exact copies of documents, "paragraphs"
      also repeated paragraphs.
    skip_bad_records: count lines that cannot be read, and do not stop at them.
    restart: delete what an earlier run has left unfinished.
    workers: processes that encode; 0 encodes in this process.
    runner: Apache Beam runner that encodes in place of this machine; "" for
      none.
    beam_options: command-line options of the runner.
  """

  corpus: str
  output: str
  documents: str = "file"
  sentences: Mode = "segment"
  validation: str = "0.05"
  tokenizer: str = "wordpiece"
  vocab_size: Tokens = 0
  cased: bool = False
  strip_accents: bool | None = None
  normalization: Literal["", "none", "nfc", "nfkc"] = ""
  extend_vocab: Tokens = 0
  text_field: str = "text"
  zstd_long: int = ZSTD_LONG
  tfds_data_dir: str = ""
  min_characters: Count = 0
  deduplicate: Literal["none", "documents", "paragraphs"] = "none"
  skip_bad_records: bool = False
  restart: bool = False
  workers: Count = 0
  runner: str = ""
  beam_options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
  """Checked options, and what they name.

  Attributes:
    options: the options.
    parts: the corpora `CORPUS` and, if validation is a corpus, `VALIDATION`.
    share: share of the corpus that goes to validation.
    tokenizer: the tokenizer that the options name, None to learn one.
    vocab_size: size of the vocabulary to learn.
    recipe: everything that determines the bytes of the store, without paths.
  """

  options: Options
  parts: dict[str, Corpus]
  share: float
  tokenizer: Tokenizer | None
  vocab_size: int
  recipe: dict[str, Any]

  @property
  def passed_over(self) -> dict[str, int]:
    """What lies in the folders of all parts and is not read, by suffix."""
    total = Counter[str]()
    for corpus in self.parts.values():
      total.update(corpus.passed_over)
    return dict(sorted(total.items()))


def make_plan(options: Options) -> Plan:
  """Check the options, and open the corpora and the tokenizer that they name.

  Raises:
    ValueError: a mistake in the options.
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
    "text_version": TEXT_VERSION,
  }
  if options.sentences == "segment":
    recipe["rules"] = "learned"
  if options.deduplicate != "none":  # older recipes lack the field
    recipe["deduplicate"] = options.deduplicate
  return Plan(options, parts, share or 0.0, tokenizer, vocab_size, recipe)


def _check(options: Options) -> None:
  check_types(options)
  if options.runner and options.workers:
    raise ValueError(
      f"workers={options.workers} with runner={options.runner}; leave workers "
      "out, because the runner has its own"
    )


def _corpus(spec: str, options: Options) -> Corpus:
  output = os.path.expanduser(options.output.rstrip("/"))
  return Corpus(
    spec,
    documents=options.documents,
    skip_bad_records=options.skip_bad_records,
    text_field=options.text_field,
    zstd_long=options.zstd_long,
    min_characters=options.min_characters,
    tfds_data_dir=options.tfds_data_dir,
    exclude=(output, f"{output}.partial"),
  )


def _share(validation: str) -> float | None:
  try:
    share = float(validation)
  except ValueError:
    return None
  if not 0 <= share < 1:
    raise ValueError(
      f"validation={validation}; give a share from 0 to below 1, or a corpus"
    )
  return share


def _wanted_tokenizer(
  options: Options,
) -> tuple[Tokenizer | None, int, dict[str, Any]]:
  """Return the given tokenizer, the size, and their part of the recipe."""
  if options.tokenizer in tokenizers.KINDS:
    if options.extend_vocab:
      raise ValueError(
        f"extend_vocab={options.extend_vocab} with a new tokenizer; name the "
        "tokenizer to extend, as --tokenizer=DIR"
      )
    return _learned_tokenizer(options)
  tokenizer = tokenizers.load(options.tokenizer)
  if options.cased and tokenizer.lowercase:
    raise ValueError(
      f"cased=True, but {options.tokenizer} folds case; leave cased out, or "
      f"learn a tokenizer with --tokenizer={' or '.join(tokenizers.KINDS)}"
    )
  _check_rules(options, tokenizer)
  if options.vocab_size not in (0, tokenizer.vocab_size):
    raise ValueError(
      f"vocab_size={options.vocab_size}, but {options.tokenizer} has "
      f"{tokenizer.vocab_size} tokens; leave vocab_size out"
    )
  given: dict[str, Any] = {"sha256": tokenizer.sha256}
  if options.extend_vocab:
    vocabulary_extension.check_extendable(tokenizer, options.extend_vocab)
    given["extend"] = options.extend_vocab
  return tokenizer, tokenizer.vocab_size, given


def _learned_tokenizer(options: Options) -> tuple[None, int, dict[str, Any]]:
  """Return what `_wanted_tokenizer` does for a tokenizer to learn."""
  tokenizers.check_rules(
    options.tokenizer,
    lowercase=not options.cased,
    strip_accents=options.strip_accents,
    normalization=options.normalization,
  )
  kind = tokenizers.KINDS[options.tokenizer]
  if options.cased and not kind.folds_case:
    raise ValueError(
      f"cased=True with {options.tokenizer}, which never folds case; leave "
      "cased out"
    )
  vocab_size = options.vocab_size or DEFAULT_VOCAB_SIZE
  learn: dict[str, Any] = {"learn": options.tokenizer, "size": vocab_size}
  if options.cased:
    learn["cased"] = True
  # Rules that are the usual ones are not named, as in older recipes.
  strips = kind.accents == "usually" or not options.cased
  if options.strip_accents not in (None, strips):
    learn["strip_accents"] = options.strip_accents
  if options.normalization not in ("", kind.normalization):
    learn["normalization"] = options.normalization
  return None, vocab_size, learn


def _check_rules(options: Options, tokenizer: Tokenizer) -> None:
  """Refuse rules that a given tokenizer does not have."""
  for flag, theirs in (
    ("strip_accents", tokenizer.strip_accents),
    ("normalization", tokenizer.normalization),
  ):
    if getattr(options, flag) not in (None, "", theirs):
      raise ValueError(
        f"{flag}={getattr(options, flag)}, but {options.tokenizer} has "
        f"{flag}={theirs}; leave {flag} out, or learn a tokenizer with "
        f"--tokenizer={' or '.join(tokenizers.KINDS)}"
      )
