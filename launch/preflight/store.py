# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge a prepared store: its vocabulary, its splits and its rows."""

import dataclasses
from collections.abc import Iterator, Mapping

from data_pipelines.corpora.folders import count_unread, describe_passed_over
from data_pipelines.rows.store_statistics import count_tokens
from data_pipelines.store.store import Store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.byte_bpe import ALPHABET, ByteBPE
from data_pipelines.tokenizers.special_tokens import SPECIALS
from launch.preflight import text
from launch.preflight.findings import Finding, at_most_warn, judge
from launch.preflight.policy import Policy

_UNSPACED = 0.5  # of tokens in scripts without spaces between words
_TRAIN, _VALIDATION = "train", "validation"


@dataclasses.dataclass(frozen=True)
class StoreFigures:
  """What a store's manifest and token counts say; no text is read.

  Attributes:
    tokens: tokens of the training split.
    unknown_tokens: share of them that are the unknown token.
    maskable_tokens: share of them that masking may choose.
    fertility: tokens a word of the training split.
    unused_vocabulary: share of the ordinary tokens that never occur.
    documents: documents of all splits.
    validation_tokens: tokens of the validation split; None without a split.
    validation_unknown_tokens: share of them that are the unknown token.
    counts: counts of what preparing left out or found twice.
    validation_asked: share of the documents that --validation asks for.
    unspaced: share of the tokens in scripts without spaces between words.
    asked: tokens that the vocabulary was to learn; 0 if it was given.
    learned: tokens of the vocabulary.
    smallest: the fewest tokens that such a vocabulary can have.
    unknown_letters: share of a sample's characters that are unknown.
    unknown_commonest: the commonest of them.
    lost_marks: share of a sample's letters that lose a mark they need.
    sentences: how the sentences of the training split were cut.
    files: files of the corpus that were read; 0 where it is no files.
    passed_over: files and folders beside them that were not, by suffix.
  """

  tokens: int
  unknown_tokens: float
  maskable_tokens: float
  fertility: float
  unused_vocabulary: float
  documents: int
  validation_tokens: int | None
  validation_unknown_tokens: float
  counts: dict[str, int]
  validation_asked: float | None = None
  unspaced: float = 0.0
  asked: int = 0
  learned: int = 0
  smallest: int = 0
  unknown_letters: float = 0.0
  unknown_commonest: str = ""
  lost_marks: float = 0.0
  sentences: text.SentenceFigures = text.UNKNOWN
  files: int = 0
  passed_over: Mapping[str, int] = dataclasses.field(default_factory=dict)

  @property
  def used(self) -> int:
    """About how many tokens of the vocabulary occur in the training split."""
    return round((1 - self.unused_vocabulary) * self.learned)

  @property
  def fewer(self) -> str:
    """The flag that learns about as many tokens as are used; "" if none can."""
    size = max(self.used, self.smallest)
    return f"--vocab_size={size}" if size < self.learned else ""


def measure_store(store: Store) -> StoreFigures:
  """Read the figures of a store from its manifest and its token counts."""
  tokenizer = tokenizers.load(store.tokenizer_path)
  vocabulary = tokenizer.vocabulary()
  # Stores of earlier versions have no letters.
  letters = store.manifest.source.get("letters", {})
  counts_V = store.token_counts()
  usage = count_tokens(counts_V, vocabulary)
  splits = store.manifest.splits
  held_out = splits.get(_VALIDATION)
  return StoreFigures(
    tokens=usage.tokens,
    unknown_tokens=usage.unknown_rate,
    maskable_tokens=float(
      counts_V[~vocabulary.special_V].sum() / max(usage.tokens, 1)
    ),
    fertility=usage.fertility,
    unused_vocabulary=usage.never / max(usage.ordinary, 1),
    documents=sum(split.documents for split in splits.values()),
    validation_tokens=held_out.tokens if held_out else None,
    validation_unknown_tokens=_unknown_share(store)
    if held_out and held_out.tokens
    else 0.0,
    counts=store.manifest.counts,
    unspaced=tokenizer.unspaced_share(counts_V),
    asked=(store.manifest.recipe.get("tokenizer") or {}).get("size", 0),
    learned=tokenizer.vocab_size,
    # Text is cut into bytes, each of which is a token.
    smallest=(
      len(ALPHABET) + len(SPECIALS) if isinstance(tokenizer, ByteBPE) else 0
    ),
    unknown_letters=letters.get("unknown_share", 0.0),
    unknown_commonest=letters.get("unknown_commonest", ""),
    lost_marks=letters.get("lost_marks", 0.0),
    sentences=text.measure_sentences(store),
    files=sum(
      part.get("files", 0)
      for part in map(store.manifest.recipe.get, ("corpus", "validation"))
      if isinstance(part, Mapping)
    ),
    passed_over=store.manifest.passed_over,
    validation_asked=_asked_share(store),
  )


def _asked_share(store: Store) -> float | None:
  """Return the share of --validation; None for a corpus of its own."""
  asked = store.manifest.recipe.get("validation")
  return asked if isinstance(asked, float) else None


def _unknown_share(store: Store) -> float:
  counts_V = store.split(_VALIDATION).token_counts()
  unknown = counts_V[store.special_ids["unk"]]
  return float(unknown / max(int(counts_V.sum()), 1))


def judge_store(figures: StoreFigures, policy: Policy) -> list[Finding]:
  """Judge the figures of a store, whatever it is used for."""
  return [
    *_judge_vocabulary(figures, policy),
    *_judge_letters(figures, policy),
    _judge_files(figures, policy),
    *text.judge_text(
      figures.counts, figures.documents, figures.sentences, policy
    ),
    *_judge_validation(figures, policy),
  ]


def _judge_vocabulary(
  figures: StoreFigures, policy: Policy
) -> Iterator[Finding]:
  share = f"{figures.unknown_tokens:.2%}"
  yield judge(
    "unknown_tokens",
    figures.unknown_tokens,
    f"{share} of the training tokens are unknown: the vocabulary lacks words "
    "or letters of this text",
    "learn a vocabulary from it with --tokenizer=wordpiece, or with "
    "--tokenizer=sentencepiece where no spaces separate words, or extend this "
    "one with --extend_vocab=N",
    policy,
  )
  yield judge(
    "maskable_tokens",
    figures.maskable_tokens,
    f"masking may choose only {figures.maskable_tokens:.2%} of the training "
    "tokens, so that there is little or nothing to predict",
    "look at the text and its tokenizer; unknown tokens are never masked",
    policy,
  )
  yield judge(
    "fertility",
    # Without spaces nothing tells how many words there are.
    figures.fertility if figures.unspaced < _UNSPACED else 1.0,
    f"a word has {figures.fertility:.2f} tokens on average: the vocabulary is "
    "small, or comes from another domain or language",
    "learn a larger one with --vocab_size, or extend it with --extend_vocab=N",
    policy,
  )
  yield judge(
    "unused_vocabulary",
    figures.unused_vocabulary,
    f"{figures.unused_vocabulary:.1%} of the tokens of the vocabulary never "
    "occur in the training text, so that their embeddings are not trained",
    _more_text(figures, "or learn fewer tokens with")
    if figures.asked
    else "learn a vocabulary from this text with --tokenizer=wordpiece",
    policy,
  )


def _more_text(figures: StoreFigures, or_fewer: str) -> str:
  """Return the fix, with a smaller vocabulary where its kind has one."""
  fewer = f", {or_fewer} {figures.fewer}" if figures.fewer else ""
  return f"prepare more text{fewer}"


def _judge_letters(figures: StoreFigures, policy: Policy) -> Iterator[Finding]:
  if figures.asked:
    yield judge(
      "learned_vocabulary",
      figures.learned / figures.asked,
      f"{figures.asked:,} tokens were to be learned, and the text gave "
      f"{figures.learned:,}",
      # Of all that a text gives, much is only ever a part of longer tokens.
      f"{_more_text(figures, 'or give')}; text without spaces between words "
      "gives more with --tokenizer=sentencepiece",
      policy,
    )
  yield judge(
    "unknown_letters",
    figures.unknown_letters,
    f"{figures.unknown_letters:.3%} of the characters are not in the "
    f"vocabulary, the commonest of them {figures.unknown_commonest[:10]!r}; a "
    "word with one of them is unknown as a whole",
    "learn a vocabulary from this text, or a larger one with --vocab_size",
    policy,
  )
  yield judge(
    "lost_marks",
    figures.lost_marks,
    f"{figures.lost_marks:.2%} of the letters lose a vowel sign, a voicing "
    "mark or a point with the accents, so that different words become equal",
    "keep them with --nostrip_accents --normalization=nfc",
    policy,
  )


def _judge_files(figures: StoreFigures, policy: Policy) -> Finding:
  unread = count_unread(figures.passed_over)
  passed_over = describe_passed_over(figures.passed_over)
  return judge(
    "unread_files",
    unread / max(unread + figures.files, 1),
    f"{figures.files:,} files of the corpus were read and {unread:,} beside "
    f"them passed over ({passed_over or 'none'})",
    "name text among these by a file or a glob, or convert it to a known "
    "format",
    policy,
  )


def _judge_validation(
  figures: StoreFigures, policy: Policy
) -> Iterator[Finding]:
  tokens = figures.validation_tokens
  yield judge(
    "no_validation",
    int(not tokens),
    "there is no validation split, so that a run on this store cannot be "
    "evaluated on unseen text",
    "prepare it again with --validation=0.05",
    policy,
  )
  if not tokens:
    return
  share = tokens / (tokens + figures.tokens)
  unknown = figures.validation_unknown_tokens
  # The training split fails where training is in vain.
  yield at_most_warn(
    judge(
      "unknown_tokens",
      unknown,
      f"{unknown:.2%} of the validation tokens are unknown, and are never "
      "predicted",
      "prepare more text, so that the vocabulary covers it",
      policy,
    ),
    policy,
  )
  yield judge(
    "validation_tokens",
    tokens,
    f"the validation split has only {tokens:,} tokens, so that its loss is "
    "mostly noise",
    "prepare more text, or a larger share with --validation=0.1",
    policy,
  )
  yield judge(
    "validation_share",
    share,
    f"the validation split has {share:.1%} of the tokens, because whole "
    "documents are held out",
    "prepare more or shorter documents, or give files of their own with "
    "--validation=FILES",
    policy,
  )
  if figures.validation_asked:
    yield judge(
      "validation_excess",
      share / figures.validation_asked,
      f"the validation split has {share:.1%} of the tokens, and "
      f"--validation={figures.validation_asked:g} asks for "
      f"{figures.validation_asked:.1%}, because whole documents are held out",
      "prepare more or shorter documents, or give files of their own with "
      "--validation=FILES",
      policy,
    )
