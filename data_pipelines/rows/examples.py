# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Examples, and the steps of planning that all input formats share.

An example is segments with the special tokens of a template around them; a
segment is a range of the tokens of a split.

Suffixes: E examples of a block, K their segments, N sentences of the block.
"""

import dataclasses

import numpy as np

from bertjax.config import ObjectiveConfig
from data_pipelines.host_rng import HostRng
from data_pipelines.store.layout import LENGTH
from data_pipelines.store.store import Split
from data_pipelines.tokenizers.template import Template


@dataclasses.dataclass(frozen=True)
class Examples:
  """Examples of one block, in the order of their text.

  Attributes:
    ids_E: int64, first sentence of each example's own text, counted in the
      block.
    labels_E: int64, as `pair_label_BR` of the batch.
    segments_E: int64, number of segments of each example.
    specials_E: int64, number of special tokens of each example.
    address_K: int64, first token of each segment, counted in the split.
    length_K: int64, tokens of each segment.
    type_K: int64, 0 for segment A, 1 for B.
    truncated: tokens of the block that are in no example.
    random_examples, random_tokens: random second segments, and their tokens.
  """

  ids_E: np.ndarray
  labels_E: np.ndarray
  segments_E: np.ndarray
  specials_E: np.ndarray
  address_K: np.ndarray
  length_K: np.ndarray
  type_K: np.ndarray
  truncated: int
  random_examples: int
  random_tokens: int

  def lengths(self) -> np.ndarray:
    """Return the length of each example with its special tokens: int64 [E]."""
    return self.specials_E + sum_segments(self.segments_E, self.length_K)


def sum_segments(segments_E: np.ndarray, value_K: np.ndarray) -> np.ndarray:
  """Return the sum over the segments of each example: int64 [E]."""
  first_E = np.cumsum(segments_E) - segments_E
  return np.add.reduceat(value_K, first_E)


def count_specials(
  template: Template, segments_E: np.ndarray, type_K: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Count the special tokens around each segment.

  Args:
    template: the special tokens of an example.
    segments_E: as in `Examples`.
    type_K: as in `Examples`. A segment B never comes first.

  Returns:
    int64 [K], special tokens before each segment, which only the first segment
    of an example has, and int64 [K], those behind each.
  """
  before_K = np.zeros_like(type_K)
  before_K[np.cumsum(segments_E) - segments_E] = len(template.first)
  after_K = np.full_like(type_K, len(template.last))
  after_K[:-1][type_K[1:] == 1] = len(template.between)
  return before_K, after_K


@dataclasses.dataclass(frozen=True)
class BlockText:
  """Sentences of a block in the order in which they are read."""

  length_N: np.ndarray
  address_N1: np.ndarray  # first token; N + 1 long, the last one unused
  id_N: np.ndarray  # number of the sentence in the block
  document_N: np.ndarray  # number of its document in the order of reading
  end_N: np.ndarray  # one past the last sentence of its document
  own_D: np.ndarray  # number of each document in the split

  @property
  def ends_N1(self) -> np.ndarray:
    """Tokens before each sentence, and of all sentences at the end."""
    return np.concatenate(([0], np.cumsum(self.length_N)))


def read_text(split: Split, block: int) -> BlockText:
  """Return the sentences of a block in the order of the store.

  Raises:
    ValueError: the parts of the index contradict each other.
  """
  (document, _, sentence, token), (document_end, _, sentence_end, token_end) = (
    split.blocks[block : block + 2].tolist()
  )
  length_N = (split.sentences[sentence:sentence_end] & LENGTH).astype(np.int64)
  starts = split.documents[document : document_end + 1] - sentence
  counts = np.diff(starts)
  size = int(length_N.sum())
  if size != token_end - token or [*starts[[0, -1]]] != [0, len(length_N)]:
    raise ValueError(
      f"block {block} of split {split.name!r} has {size} tokens in sentences, "
      f"and {token_end - token} in its index: the store is damaged; prepare it "
      "again"
    )
  return BlockText(
    length_N=length_N,
    address_N1=token + np.concatenate(([0], np.cumsum(length_N))),
    id_N=np.arange(len(length_N)),
    document_N=np.repeat(np.arange(len(counts)), counts),
    end_N=np.repeat(starts[1:], counts),
    own_D=np.arange(document, document_end),
  )


def follow(next_N: np.ndarray) -> np.ndarray:
  """Return the first sentence of each example: 0, next[0] and so on."""
  following, size, found, at = next_N.data, len(next_N), [], 0
  while at < size:
    found.append(at)
    at = following[at]
  return np.array(found, np.int64)


def draw_targets(
  objective: ObjectiveConfig, budget: int, size: int, rng: HostRng
) -> np.ndarray:
  """Draw target lengths: the budget, or 2 to the budget at `short_rate`."""
  short = rng.uniform("short", size) < objective.short_rate
  drawn = 2 + rng.integers("target", np.full(size, budget - 1))
  return np.where(short, drawn, budget)


def count_front(rng: HostRng, name: str, removed: np.ndarray) -> np.ndarray:
  """Draw by coin flips how many `removed` tokens are cut at the front."""
  front = np.zeros_like(removed)
  cut = np.flatnonzero(removed)
  if not len(cut):
    return front
  words = -(-int(removed.max()) // 64)
  coins = rng.random_words(name, len(cut) * words).reshape(len(cut), words)
  unused = 64 * np.arange(1, words + 1) - removed[cut][:, None]
  unused = np.clip(unused, 0, 64).astype(np.uint64)
  # A shift by all 64 bits is undefined, so it is done in two.
  half = unused // np.uint64(2)
  heads = np.bitwise_count(coins >> half >> (unused - half))
  front[cut] = heads.sum(axis=1, dtype=np.int64)
  return front
