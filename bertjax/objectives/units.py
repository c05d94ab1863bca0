# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is masked as one: pieces, whole words, spans of words. Inside jit.

A unit never leaves its segment: [CLS], [SEP] and padding part what they
stand between. Everything here is a function of one row, so that no device
asks another.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

# SpanBERT (Joshi et al., 2020, section 3.1): lengths in words are geometric
# with this p, given that they are at most 10, which makes 3.8 on average.
SPAN_RATE = 0.2
SPAN_WORDS = 10


class Units(NamedTuple):
  """A cut of the maskable pieces of each row into units.

  Attributes:
    starts_BS: bool, the first piece of a unit.
    first_BS: int32, where the unit of a maskable piece starts.
    size_BS: int32, pieces of the unit that starts here.
  """

  starts_BS: Array
  first_BS: Array
  size_BS: Array


def find_words(
  maskable_BS: Array, continues_BS: Array, packs_BS: Array
) -> Units:
  """Whole words: a piece and those that continue it.

  A word that was cut at its front, or begins after a piece that cannot be
  masked, starts at its first maskable piece.
  """
  starts_BS = maskable_BS & (
    segment_starts(maskable_BS, packs_BS) | ~continues_BS
  )
  return _units(starts_BS, maskable_BS)


def find_spans(
  words: Units, maskable_BS: Array, packs_BS: Array, bits_BS: Array
) -> Units:
  """Cut every segment, from its front, into spans of whole words.

  The length of each span is drawn as SpanBERT's; the end of the segment cuts
  the last one. Spans that are taken whole in a random order, whatever their
  size, then have these lengths.

  Args:
    words: from `find_words`.
    maskable_BS: bool.
    packs_BS: of the batch.
    bits_BS: uint32, drawn for each piece.
  """
  # A word asks whether the span so far, of 1, 2, … words, ends before it.
  # That is a function from 1 … SPAN_WORDS to itself, and functions compose in
  # any grouping: log₂ S steps instead of S.
  drawn_BS1 = (bits_BS >> 8).astype(jnp.int32)[:, :, None]
  words_N = np.arange(SPAN_WORDS, dtype=np.int32)
  grown_BSN = jnp.where(drawn_BS1 < _END_BITS[None, None], 0, words_N + 1)
  first_BS = segment_starts(maskable_BS, packs_BS)
  grown_BSN = jnp.where(first_BS[:, :, None], 0, grown_BSN)
  grown_BSN = jnp.where(words.starts_BS[:, :, None], grown_BSN, words_N)
  after_BSN = jax.lax.associative_scan(
    lambda early, late: jnp.take_along_axis(late, early, axis=2),
    grown_BSN,
    axis=1,
  )
  # Every segment starts anew, so that any state to begin with is right.
  return _units(words.starts_BS & (after_BSN[:, :, 0] == 0), maskable_BS)


def choose_words(
  words: Units, scores_BS: Array, packs_BS: Array, wanted_BS: Array
) -> Array:
  """Take whole words in the order of their scores while they fit.

  One that is larger than what is left of its example's count is passed over
  (google-research/bert, create_pretraining_data.py). All words up to the
  first that does not fit are taken at once; what is left is then less than
  its size, so that as many rounds as a row can have sizes do for all.

  Args:
    words: from `find_words`.
    scores_BS: uint32; the one of a word's first piece counts. Words that
      share one follow each other as they stand.
    packs_BS: of the batch.
    wanted_BS: int32, the count of each piece's example.

  Returns:
    bool [B, S] at first pieces: the word is taken.
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

  # 1 + 2 + … + k pieces are at least needed for k sizes.
  rounds = int(((8 * length + 1) ** 0.5 - 1) / 2)
  none_BS = jnp.zeros_like(words.starts_BS)
  taken_BS, _ = jax.lax.fori_loop(0, rounds, take, (none_BS, wanted_BS))
  return taken_BS


def precedes(scores_BS: Array, rivals_BS: Array, packs_BS: Array) -> Array:
  """Bool [B, S, T]: T is a rival of the same pack with a smaller score.

  Equal scores go to the earlier one. S × S comparisons cost less than a sort
  on every backend, because they fuse with the sum that follows.
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
  """Bool [B, S]: maskable, after what is not, or after another example."""
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


def _end_bits() -> np.ndarray:
  """P(a span of n words ends | it has n), n = 1 … SPAN_WORDS, in 24 bits."""
  shares = (1 - SPAN_RATE) ** np.arange(SPAN_WORDS)
  at_least = np.cumsum(shares[::-1])[::-1]
  return np.round(shares / at_least * 2**24).astype(np.int32)


_END_BITS = _end_bits()
