# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Masked-LM corruption, inside jit (Devlin et al., 2018, section 3.1).

The number of tokens to choose in an example comes from an integer table made
in Python. Which tokens are chosen, and what replaces them, depends only on the
key of the example and the position inside it. A packed row and the same
examples in rows of their own therefore get the same masks, anywhere in the
batch (docs/design.md, law 3).

`objective.mask_unit` chooses tokens, whole words, or spans or n-grams of whole
words. Tokens reach the count exactly. Words are taken whole and never exceed
it; the shortfall is reported. In a span, one draw decides between [MASK],
random tokens and the original ones (SpanBERT); elsewhere each token has its own
draw (google-research/bert and google-research/albert).

Unlike google-research/bert, which passes over [CLS] and [SEP] only, [UNK] is
never chosen and never a target: to predict it teaches nothing about the word
that it stands for. It counts in the length that the mask rate refers to.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Vocabulary
from bertjax.config import ObjectiveConfig
from bertjax.model.ops.random_bits import threefry
from bertjax.objectives.units import (
  SPANBERT,
  choose_words,
  find_spans,
  find_words,
  ngram_lengths,
  precedes,
)

Array = jax.Array
# How a chosen token was replaced: `Masked.kind_BP`.
NONE, MASK, RANDOM, KEPT = range(4)
# The four draws of a position, axis 0 of `_random_bits`: the order in which
# tokens or words are chosen, the kind of replacement, the random token, and
# whether a span ends.
_ORDER, _KIND, _TOKEN, _SPAN_END = range(4)


class Masked(NamedTuple):
  """A corrupted batch and the tokens to predict.

  Attributes:
    tokens_BS: int32, the tokens after corruption.
    positions_BP: int32, positions of the chosen tokens, ascending; 0 in an
      empty slot.
    targets_BP: int32, the original tokens; 0 in an empty slot.
    weights_BP: float32, 1 for a chosen token, 0 for an empty slot.
    kind_BP: int32, NONE for an empty slot, else MASK, RANDOM or KEPT.
    shortfall_B: int32, the number of tokens that the mask rate asks for and
      that whole words do not reach.
  """

  tokens_BS: Array
  positions_BP: Array
  targets_BP: Array
  weights_BP: Array
  kind_BP: Array
  shortfall_B: Array


def prediction_counts(seq_length: int, rate: float) -> np.ndarray:
  """Return how many tokens to choose in examples of length 0..seq_length.

  That is max(1, round_half_even(rate × length)), int32, with [CLS] and [SEP] in
  the length. It is computed in Python, because float32 rounds otherwise at some
  lengths.
  """
  counts = [max(1, round(rate * length)) for length in range(seq_length + 1)]
  return np.array([0, *counts[1:]], np.int32)


def num_slots(seq_length: int, max_packs: int, rate: float) -> int:
  """Return how many slots suffice for any row of at most `max_packs` examples.

  That is the largest sum of `prediction_counts` over all ways to split
  `seq_length` into so many examples, so that no prediction is ever dropped.
  """
  counts = prediction_counts(seq_length, rate)
  most = np.zeros(seq_length + 1, np.int64)  # by length used, packs so far
  for _ in range(max_packs):
    most = np.array(
      [
        np.max(counts[: length + 1] + most[length::-1])
        for length in range(seq_length + 1)
      ]
    )
  return int(most[-1])


def continued_share(vocabulary: Vocabulary, counts_V: np.ndarray) -> float:
  """Return the share of a text's ordinary tokens that continue a word.

  Args:
    vocabulary: tells where words begin.
    counts_V: how often each token occurs in the text.
  """
  ordinary_V = np.where(vocabulary.special_V, 0, counts_V)
  continued = ordinary_V[vocabulary.continues_V].sum()
  return float(continued / max(ordinary_V.sum(), 1))


def check_words(
  objective: ObjectiveConfig, vocabulary: Vocabulary, counts_V: np.ndarray
) -> None:
  """Check that a text has the words that the unit of masking is made of.

  Args:
    objective: `mask_unit` decides.
    vocabulary: tells where words begin.
    counts_V: how often each token occurs in the text.

  Raises:
    ValueError: no token begins a word, so that all text between two special
      tokens is one, and none is ever taken.
  """
  unit = objective.mask_unit
  if unit != "token" and continued_share(vocabulary, counts_V) == 1:
    raise ValueError(
      f"objective.mask_unit={unit} takes whole words, and no token of the "
      "store's text begins a word; prepare it with another --tokenizer, or "
      "give objective.mask_unit=token"
    )


def mask_tokens(
  features: Mapping[str, Array],
  vocabulary: Vocabulary,
  objective: ObjectiveConfig,
  *,
  slots: int,
) -> Masked:
  """Choose tokens of every packed example and corrupt them.

  Args:
    features: `tokens_BS`, `positions_BS`, `packs_BS`, `key_BR2` of the
      batch contract.
    vocabulary: special tokens are never chosen, and are random tokens only
      with `random_tokens="all"`.
    objective: `mask_rate`, `mask_unit`, `max_ngram`, `mask_token_rate`,
      `random_token_rate`, `random_tokens`.
    slots: P; `num_slots` gives one that always suffices.
  """
  tokens_BS, packs_BS = features["tokens_BS"], features["packs_BS"]
  num_packs = features["key_BR2"].shape[1]
  special_V = jnp.asarray(vocabulary.special_V)
  maskable_BS = (packs_BS > 0) & ~special_V[tokens_BS]
  bits = _random_bits(features)
  counts = jnp.asarray(
    prediction_counts(tokens_BS.shape[1], objective.mask_rate)
  )
  is_mine_BSR = packs_BS[:, :, None] == np.arange(1, num_packs + 1)[None, None]
  wanted_BR = counts[jnp.sum(is_mine_BSR, axis=1, dtype=jnp.int32)]
  wanted_BS = jnp.take_along_axis(wanted_BR, _owner(packs_BS), axis=1)
  chosen_BS, kinds_BS = _choose(
    features, maskable_BS, wanted_BS, bits, vocabulary, objective
  )
  kind_BS = jnp.where(chosen_BS, _kinds(kinds_BS, objective), NONE)
  drawn_BS = _draw(bits[_TOKEN], vocabulary, objective.random_tokens)
  corrupted_BS = jnp.where(kind_BS == MASK, vocabulary.mask_id, tokens_BS)
  corrupted_BS = jnp.where(kind_BS == RANDOM, drawn_BS, corrupted_BS)
  maskable_BR = jnp.sum(
    is_mine_BSR & maskable_BS[:, :, None], axis=1, dtype=jnp.int32
  )
  shortfall_B = jnp.sum(
    jnp.minimum(wanted_BR, maskable_BR), axis=1, dtype=jnp.int32
  ) - jnp.sum(chosen_BS, axis=1, dtype=jnp.int32)
  return _compact(tokens_BS, corrupted_BS, kind_BS, slots, shortfall_B)


def _choose(
  features: Mapping[str, Array],
  maskable_BS: Array,
  wanted_BS: Array,
  bits: Array,
  vocabulary: Vocabulary,
  objective: ObjectiveConfig,
) -> tuple[Array, Array]:
  """Return which tokens are chosen, and the bits that decide their kinds."""
  packs_BS, unit = features["packs_BS"], objective.mask_unit
  scores_BS, kinds_BS, ends_BS = bits[_ORDER], bits[_KIND], bits[_SPAN_END]
  if unit == "token":
    before_BST = precedes(scores_BS, maskable_BS, packs_BS)
    rank_BS = jnp.sum(before_BST, axis=2, dtype=jnp.int32)
    return maskable_BS & (rank_BS < wanted_BS), kinds_BS
  continues_BS = jnp.asarray(vocabulary.continues_V)[features["tokens_BS"]]
  words = find_words(maskable_BS, continues_BS, packs_BS)
  if unit in ("span", "ngram"):
    # The words of a span are taken in their order, and the last span that is
    # begun ends where the count is reached (as in fairseq's code of SpanBERT;
    # google-research/albert tries shorter n-grams).
    lengths = SPANBERT if unit == "span" else ngram_lengths(objective.max_ngram)
    spans = find_spans(words, maskable_BS, packs_BS, ends_BS, lengths)
    at_span = lambda bits_BS: jnp.take_along_axis(
      bits_BS, spans.first_BS, axis=1
    )
    scores_BS = at_span(scores_BS)
    if unit == "span":
      kinds_BS = at_span(kinds_BS)
  taken_BS = choose_words(words, scores_BS, packs_BS, wanted_BS)
  chosen_BS = jnp.take_along_axis(taken_BS, words.first_BS, axis=1)
  return maskable_BS & chosen_BS, kinds_BS


def _draw(bits_BS: Array, vocabulary: Vocabulary, tokens: str) -> Array:
  if tokens == "all":
    return (bits_BS % np.uint32(vocabulary.size)).astype(jnp.int32)
  ordinary_W = jnp.asarray(vocabulary.ordinary_W)
  return ordinary_W[bits_BS % np.uint32(len(ordinary_W))]


def _random_bits(features: Mapping[str, Array]) -> Array:
  """Return uint32 [4, B, S], from each example's key and the position in it."""
  owner_BS1 = _owner(features["packs_BS"])[:, :, None]
  key_BS2 = jnp.take_along_axis(features["key_BR2"], owner_BS1, axis=1)
  position_BS = features["positions_BS"].astype(jnp.uint32)
  draws = [
    threefry(
      (key_BS2[..., 0], key_BS2[..., 1]),
      (position_BS, jnp.full_like(position_BS, block)),
    )
    for block in range(2)
  ]
  return jnp.concatenate(draws)


def _owner(packs_BS: Array) -> Array:
  # Padding (pack 0) gets the key of pack 1; it is never chosen.
  return jnp.maximum(packs_BS - 1, 0)


def _kinds(bits_BS: Array, objective: ObjectiveConfig) -> Array:
  # 24 bits, so that the threshold of a rate of 1 fits an int32.
  draw_BS = (bits_BS >> 8).astype(jnp.int32)
  mask = round(objective.mask_token_rate * 2**24)
  replaced = mask + round(objective.random_token_rate * 2**24)
  return jnp.where(
    draw_BS < mask, MASK, jnp.where(draw_BS < replaced, RANDOM, KEPT)
  )


def _compact(
  tokens_BS: Array,
  corrupted_BS: Array,
  kind_BS: Array,
  slots: int,
  shortfall_B: Array,
) -> Masked:
  """Put the chosen positions into the first of `slots` slots, in order.

  Slot p points to the position that p others precede, so that its number is
  that of the positions up to which at most p are chosen. P × S comparisons fuse
  with their sum; a sort is the slowest operation of a vector unit, and costs
  seconds of compile time on TPUs.
  """
  length = tokens_BS.shape[1]
  upto_BS = jnp.cumsum(kind_BS > NONE, axis=1, dtype=jnp.int32)
  places_BP = jnp.sum(
    upto_BS[:, None, :] <= np.arange(slots, dtype=np.int32)[None, :, None],
    axis=2,
    dtype=jnp.int32,
  )
  filled_BP = places_BP < length
  positions_BP = jnp.where(filled_BP, places_BP, 0)
  at = lambda values_BS: jnp.where(
    filled_BP, jnp.take_along_axis(values_BS, positions_BP, axis=1), 0
  )
  return Masked(
    tokens_BS=corrupted_BS,
    positions_BP=positions_BP,
    targets_BP=at(tokens_BS),
    weights_BP=filled_BP.astype(jnp.float32),
    kind_BP=at(kind_BS),
    shortfall_B=shortfall_B,
  )
