# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of the texts, tokens and pairs of a store, from its index.

No token is read. The index is memory-mapped and counted block by block, for a
store with more than `MAX_SENTENCES` sentences in an even sample of blocks.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bertjax.batch import Vocabulary
from bertjax.config import ObjectiveConfig
from data_pipelines.rows.examples import read_text
from data_pipelines.rows.format_report import SEQ_LENGTHS
from data_pipelines.rows.pairs import draw_document_targets
from data_pipelines.rows.planner import Planner, sample_blocks
from data_pipelines.store.layout import LENGTH
from data_pipelines.store.store import Split, Store

MAX_SENTENCES = 50_000_000
_PENDING = 1 << 20


class Tally:
  """Counts how often each number occurs, exactly.

  Memory grows with the number of distinct values: lengths that add up to n have
  at most √(2n) of them.
  """

  def __init__(self) -> None:
    self._parts: list[tuple[np.ndarray, np.ndarray]] = []
    self._pending = 0

  def add(self, values: np.ndarray) -> None:
    """Count more integers."""
    distinct, counts = np.unique(values, return_counts=True)
    self._parts.append((distinct.astype(np.int64), counts))
    self._pending += len(distinct)
    if self._pending > _PENDING:
      self._merge()

  def _merge(self) -> tuple[np.ndarray, np.ndarray]:
    if len(self._parts) != 1:
      empty = np.zeros(0, np.int64)
      every = [np.concatenate(part) for part in zip(*self._parts, strict=True)]
      values, counts = every or (empty, empty)
      distinct, place = np.unique(values, return_inverse=True)
      sums = np.zeros(len(distinct), np.int64)
      np.add.at(sums, place, counts)
      self._parts, self._pending = [(distinct, sums)], 0
    return self._parts[0]

  def __len__(self) -> int:
    return int(self._merge()[1].sum())

  @property
  def mean(self) -> float:
    """Mean of all numbers; 0 if nothing was counted."""
    values, counts = self._merge()
    return float(values @ counts) / max(len(self), 1)

  def percentile(self, percent: int) -> int:
    """Return the nearest-rank percentile."""
    values, counts = self._merge()
    rank = max(-(-percent * int(counts.sum()) // 100), 1)
    return int(values[np.searchsorted(np.cumsum(counts), rank)])

  def share(self, first: int, last: int) -> float:
    """Return the share of numbers from `first` to `last`, both included."""
    values, counts = self._merge()
    inside = (values >= first) & (values <= last)
    return float(counts[inside].sum()) / max(len(self), 1)

  def histogram(self, edges: np.ndarray) -> np.ndarray:
    """Count the numbers in each [edge, next edge): int64 [edges - 1]."""
    values, counts = self._merge()
    below = np.append(0, np.cumsum(counts))
    return np.diff(below[np.searchsorted(values, edges)])


@dataclasses.dataclass(frozen=True)
class TextStatistics:
  """Sizes of a split's documents and sentences.

  Each part of a sentence that was too long for the store counts as a sentence.

  Attributes:
    counted: share of the split's sentences that was counted.
    sentences_per_document, tokens_per_sentence, tokens_per_document: sizes.
  """

  counted: float
  sentences_per_document: Tally
  tokens_per_sentence: Tally
  tokens_per_document: Tally


def count_texts(
  split: Split, max_sentences: int = MAX_SENTENCES
) -> TextStatistics:
  """Count a split's documents and sentences, about `max_sentences` of them."""
  count = split.num_blocks
  if split.num_sentences > max_sentences:
    count = max(count * max_sentences // split.num_sentences, 1)
  documents, sentences, tokens = Tally(), Tally(), Tally()
  for block in sample_blocks(split.num_blocks, count):
    first, last = split.blocks[block : block + 2, (0, 2)].tolist()
    lengths = split.sentences[first[1] : last[1]] & LENGTH
    starts = split.documents[first[0] : last[0] + 1] - first[1]
    ends = np.append(0, np.cumsum(lengths, dtype=np.int64))
    documents.add(np.diff(starts))
    sentences.add(lengths)
    tokens.add(np.diff(ends[starts]))
  counted = len(sentences) / max(split.num_sentences, 1)
  return TextStatistics(counted, documents, sentences, tokens)


@dataclasses.dataclass(frozen=True)
class TokenStatistics:
  """How a split uses its vocabulary.

  Attributes:
    tokens: number of tokens.
    unknown: number of unknown tokens.
    words: tokens that begin a word; a punctuation mark is a word in WordPiece,
      and continues the word before it in SentencePiece and byte-level BPE, so
      that the fertility of different kinds is not comparable.
    ordinary: vocabulary items that are neither special nor reserved.
    never: ordinary vocabulary items that do not occur.
    ranked_N: int64, ids of the tokens that occur, most frequent first.
  """

  tokens: int
  unknown: int
  words: int
  ordinary: int
  never: int
  ranked_N: np.ndarray

  @property
  def fertility(self) -> float:
    """Tokens a word."""
    return self.tokens / max(self.words, 1)

  @property
  def unknown_rate(self) -> float:
    """Share of the tokens that are unknown."""
    return self.unknown / max(self.tokens, 1)


def count_tokens(
  counts_V: np.ndarray, vocabulary: Vocabulary
) -> TokenStatistics:
  """Compute from a split's `token_counts` how it uses the vocabulary."""
  ranked_V = np.argsort(-counts_V, kind="stable")
  ordinary_W = vocabulary.ordinary_W
  return TokenStatistics(
    tokens=int(counts_V.sum()),
    unknown=int(counts_V[vocabulary.unk_id]),
    words=int(counts_V[~vocabulary.continues_V].sum()),
    ordinary=len(ordinary_W),
    never=int((counts_V[ordinary_W] == 0).sum()),
    ranked_N=ranked_V[: np.count_nonzero(counts_V)],
  )


class PairShares(NamedTuple):
  """Why second segments are random, in one format at one length.

  An example with one sentence has no continuation, so that its B is random;
  the B of any other example is random with probability 0.5.

  Attributes:
    input_format, seq_length: fields of the config.
    examples: number of examples.
    lone_documents: share of examples that are a document of one sentence.
    lone_ends: share that are the last sentence of a longer document.
    lone_long: share whose first sentence fills the example by itself.
    measured: share whose B is random.
  """

  input_format: str
  seq_length: int
  examples: int
  lone_documents: float
  lone_ends: float
  lone_long: float
  measured: float

  @property
  def expected(self) -> float:
    """0.5 + 0.5 · P(only one sentence left)."""
    lone = self.lone_documents + self.lone_ends + self.lone_long
    return 0.5 + 0.5 * lone

  @property
  def chance(self) -> float:
    """Two standard deviations of `measured` from `expected`."""
    return 2 * (self.expected * (1 - self.expected) / self.examples) ** 0.5


def measure_pairs(store: Store) -> Iterator[PairShares]:
  """Measure nsp's training pairs, from at most four blocks of each format.

  The blocks and rows are those of `format_report.report_formats`. Yields
  nothing where there is only one document.
  """
  split = store.split("train")
  if split.num_documents < 2:
    return
  for input_format in ("segment_pair", "sentence_pair"):
    objective = ObjectiveConfig(input_format=input_format, next_sentence="nsp")
    for seq_length in SEQ_LENGTHS:
      planner = Planner(
        store,
        "train",
        objective=objective,
        seq_length=seq_length,
        max_packs=1,  # does not change the examples
        seed=0,
      )
      sums = sum(
        _count_lone(planner, objective, block)
        for block in sample_blocks(split.num_blocks)
      )
      examples, *lone = np.asarray(sums).tolist()
      shares = [count / examples for count in lone]
      yield PairShares(input_format, seq_length, examples, *shares)


def _count_lone(
  planner: Planner, objective: ObjectiveConfig, block: int
) -> np.ndarray:
  """Count examples, the three kinds of lone ones, random ones: int64 [5]."""
  text = read_text(planner.split, block)
  examples = planner.examples(0, block)
  first_E = examples.ids_E
  document_E = text.document_N[first_E]
  is_short_E = np.bincount(text.document_N)[document_E] == 1
  is_last_E = first_E + 1 == text.end_N[first_E]
  fills_E = np.zeros_like(is_last_E)
  if objective.input_format == "segment_pair":
    rng = planner.rng(0, block)
    budget = planner.seq_length - planner.template.count(pair=True)
    target_N = draw_document_targets(objective, text, budget, rng)
    fills_E = text.length_N[first_E] >= target_N[first_E]
  kinds = (is_short_E, is_last_E & ~is_short_E, fills_E & ~is_last_E)
  return np.array([len(first_E), *map(np.sum, kinds), examples.random_examples])
