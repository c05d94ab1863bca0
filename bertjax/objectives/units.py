# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The units that are masked as one: words, spans and n-grams. Inside jit.

A unit never crosses [CLS], [SEP] or padding. Everything here is a function of
one row, so that no collective is needed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

# SpanBERT (Joshi et al., 2020, section 3.1): span lengths in words follow a
# geometric distribution with this p, truncated at 10; their mean is 3.8.
SPAN_RATE = 0.2
SPAN_WORDS = 10
# Share of the spans that have n = 1 … N words.
Lengths = tuple[float, ...]
SPANBERT: Lengths = tuple(
  SPAN_RATE * (1 - SPAN_RATE) ** n / (1 - (1 - SPAN_RATE) ** SPAN_WORDS)
  for n in range(SPAN_WORDS)
)


class Units(NamedTuple):
  """A partition of the maskable tokens of each row into units.

  Attributes:
    starts_BS: bool, whether it is the first token of a unit.
    first_BS: int32, where the unit of a maskable token starts.
    size_BS: int32, number of tokens of the unit that starts here, else 0.
  """

  starts_BS: Array
  first_BS: Array
  size_BS: Array


def find_words(
  maskable_BS: Array, continues_BS: Array, packs_BS: Array
) -> Units:
  """Return whole words: a token and the tokens that continue it.

  A word whose front was truncated, or whose first token cannot be masked,
  starts at its first maskable token.
  """
  starts_BS = maskable_BS & (
    segment_starts(maskable_BS, packs_BS) | ~continues_BS
  )
  return _units(starts_BS, maskable_BS)


def ngram_lengths(longest: int) -> Lengths:
  """Return ALBERT's p(n) ∝ 1/n for n = 1 … `longest` (section 3.1)."""
  total = sum(1 / n for n in range(1, longest + 1))
  return tuple(1 / n / total for n in range(1, longest + 1))


def find_spans(
  words: Units,
  maskable_BS: Array,
  packs_BS: Array,
  bits_BS: Array,
  lengths: Lengths = SPANBERT,
) -> Units:
  """Split every segment, from its front, into spans of whole words.

  The end of the segment truncates the last span. Taking whole spans in a random
  order then keeps the distribution of their lengths, and every place is as
  likely. (google-research/albert draws where each n-gram starts, and drops
  those that meet one before, so that long ones are rarer there than p(n) says.)

  Args:
    words: from `find_words`.
    maskable_BS: bool, whether a token may be chosen.
    packs_BS: `packs_BS` of the batch.
    bits_BS: uint32, a draw for each token.
    lengths: share of the spans that have n words.
  """
  # At a word, a span of n words either ends or grows to n + 1. That is a
  # function of n = 1 … N, and composing functions is associative: a scan takes
  # log₂ S steps instead of S.
  drawn_BS1 = (bits_BS >> 8).astype(jnp.int32)[:, :, None]
  words_N = np.arange(len(lengths), dtype=np.int32)
  ends_N = _end_bits(lengths)
  grown_BSN = jnp.where(drawn_BS1 < ends_N[None, None], 0, words_N + 1)
  first_BS = segment_starts(maskable_BS, packs_BS)
  grown_BSN = jnp.where(first_BS[:, :, None], 0, grown_BSN)
  grown_BSN = jnp.where(words.starts_BS[:, :, None], grown_BSN, words_N)
  after_BSN = jax.lax.associative_scan(
    lambda early, late: jnp.take_along_axis(late, early, axis=2),
    grown_BSN,
    axis=1,
  )
  # Every segment starts a new span, so the initial state does not matter.
  return _units(words.starts_BS & (after_BSN[:, :, 0] == 0), maskable_BS)


def choose_words(
  words: Units, scores_BS: Array, packs_BS: Array, wanted_BS: Array
) -> Array:
  """Take whole words in the order of their scores while they fit.

  A word with more tokens than the rest of its example's count is skipped
  (google-research/bert, create_pretraining_data.py). One round takes all words
  up to the first that does not fit; the rest of the count is then smaller than
  that word, so the number of rounds is at most the number of different sizes
  that the words of a row can have.

  Args:
    words: from `find_words`.
    scores_BS: uint32; the score of a word is that of its first token. Words
      of equal scores are taken in their order in the row.
    packs_BS: `packs_BS` of the batch.
    wanted_BS: int32, the count of each token's example.

  Returns:
    bool [B, S], true at the first tokens of the words that are taken.
  """
  length = packs_BS.shape[1]
  earlier_BST = precedes(scores_BS, words.starts_BS, packs_BS)
  same_BST = packs_BS[:, :, None] == packs_BS[:, None, :]
  total = lambda which_BST, size_BS: jnp.sum(
    jnp.where(which_BST, size_BS[:, None, :], 0), axis=2, dtype=jnp.int32
  )

  def take(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
    taken_BS, left_BS = carry
    fits_BS = words.starts_BS & ~taken_BS & (words.size_BS <= left_BS)
    size_BS = jnp.where(fits_BS, words.size_BS, 0)
    new_BS = fits_BS & (total(earlier_BST, size_BS) + size_BS <= left_BS)
    spent_BS = total(same_BST, jnp.where(new_BS, size_BS, 0))
    return taken_BS | new_BS, left_BS - spent_BS

  # Words of k different sizes have at least 1 + 2 + … + k tokens.
  rounds = int(((8 * length + 1) ** 0.5 - 1) / 2)
  none_BS = jnp.zeros_like(words.starts_BS)
  taken_BS, _ = jax.lax.fori_loop(0, rounds, take, (none_BS, wanted_BS))
  return taken_BS


def precedes(scores_BS: Array, rivals_BS: Array, packs_BS: Array) -> Array:
  """Return bool [B, S, T]: T is a rival in the pack of S with a smaller score.

  Of equal scores the earlier position counts as smaller. S × S comparisons cost
  less than a sort on every backend, because they fuse with the sum that
  follows.
  """
  length = scores_BS.shape[1]
  mine_BS1, other_B1T = scores_BS[:, :, None], scores_BS[:, None, :]
  earlier_ST = np.tri(length, k=-1, dtype=bool)
  before_BST = (other_B1T < mine_BS1) | (
    (other_B1T == mine_BS1) & earlier_ST[None]
  )
  return (
    before_BST
    & rivals_BS[:, None, :]
    & (packs_BS[:, :, None] == packs_BS[:, None, :])
  )


def segment_starts(maskable_BS: Array, packs_BS: Array) -> Array:
  """Return bool [B, S]: the first of consecutive maskable tokens of a pack."""
  goes_on_BS = maskable_BS[:, :-1] & (packs_BS[:, :-1] == packs_BS[:, 1:])
  return maskable_BS & ~jnp.pad(goes_on_BS, ((0, 0), (1, 0)))


def _units(starts_BS: Array, maskable_BS: Array) -> Units:
  places_S = np.arange(starts_BS.shape[1], dtype=np.int32)
  first_BS = jax.lax.cummax(jnp.where(starts_BS, places_S[None], 0), axis=1)
  is_of_BST = maskable_BS[:, None, :] & (
    first_BS[:, None, :] == places_S[None, :, None]
  )
  size_BS = jnp.sum(is_of_BST, axis=2, dtype=jnp.int32)
  return Units(starts_BS, first_BS, jnp.where(starts_BS, size_BS, 0))


def _end_bits(lengths: Lengths) -> np.ndarray:
  """Return P(length = n | length ≥ n) for n = 1 … N, in 24 bits."""
  shares = np.array(lengths)
  at_least = np.cumsum(shares[::-1])[::-1]
  return np.round(shares / at_least * 2**24).astype(np.int32)
