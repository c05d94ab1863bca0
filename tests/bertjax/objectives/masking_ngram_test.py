# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of n-gram masking, and what masks of every unit must stay."""

import dataclasses
import functools
import hashlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from bertjax.objectives.masking import (
  MASK,
  check_words,
  continued_share,
  mask_tokens,
  num_slots,
  prediction_counts,
)
from bertjax.objectives.units import find_spans, find_words, ngram_lengths
from tests.testing import slow_masking
from tests.testing.examples import SPECIALS, example, rows, vocabulary

SEQ = 64
ONE_TOKEN = vocabulary()  # each token is a word
THIRDS = dataclasses.replace(  # every third token continues the word before it
  ONE_TOKEN, continues_V=(np.arange(120) % 3 == 0) & ~ONE_TOKEN.special_V
)
NGRAM = ObjectiveConfig(mask_unit="ngram")
LENGTHS = [(64,), (19, 14, 25), (5, 40), (30, 30)]


def packed():
  return rows(
    [
      [example(n, 10 * b + r) for r, n in enumerate(row)]
      for b, row in enumerate(LENGTHS * 2)
    ],
    SEQ,
    3,
  )


def mask(batch, objective):
  length, packs = batch["tokens_BS"].shape[1], batch["key_BR2"].shape[1]
  slots = num_slots(length, packs, objective.mask_rate)
  return jax.tree.map(np.asarray, program(objective, slots)(batch))


@functools.cache
def program(objective, slots):
  return jax.jit(
    lambda batch: mask_tokens(batch, THIRDS, objective, slots=slots)
  )


def short_words(batch):
  """The same rows, but that no token continues a word."""
  tokens_BS = batch["tokens_BS"]
  tokens_BS = np.where(THIRDS.continues_V[tokens_BS], tokens_BS + 1, tokens_BS)
  return batch | {"tokens_BS": tokens_BS}


def kinds_of(batch, masked):
  kinds_BS = np.zeros_like(batch["tokens_BS"])
  for b, p in np.argwhere(masked.weights_BP > 0):
    kinds_BS[b, masked.positions_BP[b, p]] = masked.kind_BP[b, p]
  return kinds_BS


@pytest.mark.parametrize(
  "objective",
  [
    NGRAM,
    dataclasses.replace(
      NGRAM,
      max_ngram=5,
      mask_rate=0.5,
      mask_token_rate=1.0,
      random_token_rate=0.0,
    ),
    ObjectiveConfig(mask_unit="token", mask_rate=0.4),
    ObjectiveConfig(mask_unit="word", mask_rate=0.4),
    ObjectiveConfig(mask_unit="span", mask_rate=0.4),
  ],
  ids=["ngram", "five_all_mask", "token", "word", "span"],
)
def test_masks_are_those_of_the_slow_reference(objective):
  batch = packed()
  masked = mask(batch, objective)
  tokens_BS, kinds_BS = slow_masking.mask_batch(batch, THIRDS, objective)
  np.testing.assert_array_equal(masked.tokens_BS, tokens_BS)
  np.testing.assert_array_equal(kinds_of(batch, masked), kinds_BS)
  if objective.mask_token_rate == 1:
    assert {*masked.kind_BP[masked.weights_BP > 0]} == {MASK}
  special_BS = (batch["tokens_BS"] < SPECIALS) | (batch["packs_BS"] == 0)
  assert not kinds_BS[special_BS].any()


@pytest.mark.parametrize("longest", [2, 3, 10])
def test_n_words_are_one_nth_as_likely_as_one(longest):
  rows_, length = 100, 512
  draws = np.random.default_rng(longest)
  maskable_BS = jnp.ones((rows_, length), bool)
  packs_BS = jnp.ones((rows_, length), jnp.int32)
  bits_BS = draws.integers(0, 2**32, (rows_, length), dtype=np.uint32)
  words = find_words(maskable_BS, jnp.zeros_like(maskable_BS), packs_BS)
  find = functools.partial(find_spans, lengths=ngram_lengths(longest))
  spans = jax.jit(find)(words, maskable_BS, packs_BS, bits_BS)
  starts_BS = np.asarray(spans.starts_BS)
  # The last of each row is cut by its end.
  sizes = np.concatenate([np.diff(np.flatnonzero(row)) for row in starts_BS])
  check_shares(np.bincount(sizes, minlength=longest + 1)[1:], longest)


def check_shares(counts, longest):
  """Chi-square at a chance of a million to one."""
  weights = np.array([1 / n for n in range(1, longest + 1)])
  expected = weights / weights.sum() * counts.sum()
  assert len(counts) == longest
  chi_square = ((counts - expected) ** 2 / expected).sum()
  # Laurent and Massart (2000), lemma 1.
  freedom, rare = longest - 1, math.log(1e6)
  assert chi_square <= freedom + 2 * math.sqrt(freedom * rare) + 2 * rare


def test_chosen_ngrams_have_these_lengths():
  """And not only those that text is cut into, but for the last of a row."""
  counts = np.zeros(4, int)
  for seed in range(150):
    one = example(512, seed)
    _, kinds, taken = slow_masking.mask_example(
      one.tokens, one.key, ONE_TOKEN, NGRAM
    )
    places = {place for _, word in taken for place in word}
    units = {id(unit): unit for unit, _ in taken}
    # A unit that a special token follows may have been cut by it.
    for unit in units.values():
      whole = {place for word in unit for place in word} <= places
      after = unit[-1][-1] + 1
      if whole and one.tokens[after] >= SPECIALS:
        counts[len(unit)] += 1
    assert len(places) == (kinds > 0).sum() == round(0.15 * 512)
  check_shares(counts[1:], 3)


@pytest.mark.parametrize("rate", [0.15, 0.3, 0.5])
def test_the_count_is_exact_where_words_are_tokens_and_never_exceeded(rate):
  batch = packed()
  objective = dataclasses.replace(NGRAM, mask_rate=rate)
  counts = prediction_counts(SEQ, rate)
  wanted = [sum(counts[list(row)]) for row in LENGTHS * 2]
  masked = mask(short_words(batch), objective)
  assert not masked.shortfall_B.any()
  assert masked.weights_BP.sum(axis=1).tolist() == wanted
  masked = mask(batch, objective)
  reached_B = masked.weights_BP.sum(axis=1) + masked.shortfall_B
  assert reached_B.tolist() == wanted
  assert masked.shortfall_B.sum() < 0.1 * sum(wanted)


def test_every_place_is_as_likely_up_to_the_edges():
  """What stands at a place says nothing of its chance either."""
  count = 3000
  batch = short_words(
    rows([[example(SEQ, seed)] for seed in range(count)], SEQ, 1)
  )
  is_text_BS = batch["tokens_BS"] >= SPECIALS
  chosen_BS = kinds_of(batch, mask(batch, NGRAM)) > 0
  assert chosen_BS.sum() == count * round(0.15 * SEQ)
  edge = NGRAM.max_ngram
  inner = np.s_[:, 1 + edge : -1 - edge]
  expected = chosen_BS.sum() / is_text_BS.sum()
  share_S = chosen_BS[inner].sum(axis=0) / is_text_BS[inner].sum(axis=0)
  deviation = (expected * (1 - expected) / count) ** 0.5
  assert (abs(share_S - expected) < 4.5 * deviation).all()
  tokens, hit = batch["tokens_BS"][is_text_BS], chosen_BS[is_text_BS]
  assert abs(np.corrcoef(tokens, hit)[0, 1]) < 4.5 / len(tokens) ** 0.5


def test_a_mask_is_of_its_example_and_nothing_else():
  """A key stands for seed, epoch and example: row and neighbors change none."""
  batch = packed()
  masked = mask(batch, NGRAM)
  again = mask(batch, NGRAM)
  jax.tree.map(np.testing.assert_array_equal, masked, again)
  turned = mask({name: batch[name][::-1] for name in batch}, NGRAM)
  np.testing.assert_array_equal(turned.tokens_BS[::-1], masked.tokens_BS)
  other = batch | {"key_BR2": batch["key_BR2"] ^ np.uint32(1)}
  assert (mask(other, NGRAM).tokens_BS != masked.tokens_BS).any(axis=1).all()


def test_ngrams_of_one_word_are_words():
  batch = packed()
  one = mask(batch, dataclasses.replace(NGRAM, max_ngram=1))
  word = mask(batch, ObjectiveConfig(mask_unit="word"))
  jax.tree.map(np.testing.assert_array_equal, one, word)


def test_tokens_of_an_ngram_have_draws_of_their_own():
  """As in google-research/albert; in a span of SpanBERT they share one."""
  mixed = 0
  for seed in range(30):
    one = example(SEQ, seed)
    _, kinds, taken = slow_masking.mask_example(
      one.tokens, one.key, THIRDS, NGRAM
    )
    for unit, _ in taken:
      places = [place for word in unit for place in word]
      mixed += len({*kinds[places]} - {0}) > 1
  assert mixed


# Hashes of all arrays of `Masked` before there were n-grams: a run that goes
# on, or a study, has the masks that it began with.
BEFORE = {
  "token": "13d9311872a0b03c",
  "word": "b0eb2940c54bba3a",
  "span": "51842792d9d8e764",
}


@pytest.mark.parametrize("unit", BEFORE)
def test_masks_of_other_units_stay(unit):
  masked = mask(packed(), ObjectiveConfig(mask_unit=unit, mask_rate=0.3))
  made = hashlib.sha256(b"".join(array.tobytes() for array in masked))
  assert made.hexdigest()[:16] == BEFORE[unit]


def test_the_program_of_berts_masks_has_nothing_of_units():
  batch = packed()

  def text(objective, vocabulary_):
    run = lambda batch: mask_tokens(batch, vocabulary_, objective, slots=12)
    return jax.jit(run).lower(batch).as_text()

  default = text(ObjectiveConfig(), ONE_TOKEN)
  assert text(ObjectiveConfig(), THIRDS) == default
  assert text(ObjectiveConfig(max_ngram=7), THIRDS) == default
  assert "stablehlo.while" not in default
  assert text(NGRAM, THIRDS) != default


@pytest.mark.parametrize("unit", ["word", "span", "ngram"])
def test_text_in_which_no_word_begins_is_refused(unit):
  counts_V = np.where(THIRDS.continues_V, 3, 0)
  counts_V[:SPECIALS] = 9
  objective = ObjectiveConfig(mask_unit=unit)
  assert continued_share(THIRDS, counts_V) == 1
  assert continued_share(THIRDS, np.ones(120)) == pytest.approx(1 / 3, abs=0.01)
  assert continued_share(THIRDS, np.zeros(120)) == 0
  check_words(objective, THIRDS, np.ones(120))
  check_words(ObjectiveConfig(), THIRDS, counts_V)
  with pytest.raises(ValueError, match=r"no token .* begins a word") as caught:
    check_words(objective, THIRDS, counts_V)
  assert "objective.mask_unit=token" in str(caught.value)
  assert "\n" not in str(caught.value)
