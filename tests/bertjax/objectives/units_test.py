# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of whole-word and span masking."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from bertjax.objectives.masking import (
  KEPT,
  MASK,
  NONE,
  RANDOM,
  mask_tokens,
  num_slots,
  prediction_counts,
)
from bertjax.objectives.units import (
  SPAN_RATE,
  SPAN_WORDS,
  Units,
  choose_words,
  find_spans,
  find_words,
)
from tests.testing.examples import SPECIALS, example, ragged, rows, vocabulary

SEQ = 64
# Of the 115 ordinary pieces every third continues the word before it.
VOCABULARY = dataclasses.replace(
  vocabulary(), continues_V=(np.arange(120) % 3 == 0) & ~vocabulary().special_V
)
UNITS = ("word", "span", "ngram")


def objective(unit, **fields):
  return ObjectiveConfig(mask_unit=unit, **fields)


def mask(batch, objective):
  length, packs = batch["tokens_BS"].shape[1], batch["key_BR2"].shape[1]
  slots = num_slots(length, packs, objective.mask_rate)
  run = jax.jit(
    lambda batch: mask_tokens(batch, VOCABULARY, objective, slots=slots)
  )
  return jax.tree.map(np.asarray, run(batch))


def chosen(batch, masked):
  chosen_BS = np.zeros(batch["tokens_BS"].shape, bool)
  for b, p in np.argwhere(masked.weights_BP > 0):
    chosen_BS[b, masked.positions_BP[b, p]] = True
  return chosen_BS


def words_of(tokens, packs):
  """Lists of positions, written as a reader would."""
  words = []
  for place, token in enumerate(tokens):
    if packs[place] == 0 or token < SPECIALS:
      continue
    follows = words and words[-1][-1] == place - 1
    if follows and VOCABULARY.continues_V[token]:
      words[-1].append(place)
    else:
      words.append([place])
  return words


def greedy(units, scores, wanted):
  """One after another, passing over what does not fit."""
  taken, left = set(), wanted
  for unit in sorted(units, key=lambda unit: (scores[unit[0]], unit[0])):
    if len(unit) <= left:
      taken |= set(unit)
      left -= len(unit)
  return taken


@pytest.fixture(scope="module")
def batch():
  """Rows of one to three examples, some short."""
  draw = np.random.default_rng(7)
  packs = []
  for row in range(60):
    lengths = (
      [SEQ] if row % 3 == 0 else [int(n) for n in draw.integers(5, 21, 3)]
    )
    packs.append([example(n, 10 * row + r) for r, n in enumerate(lengths)])
  return rows(packs, SEQ, 3)


def test_words_are_what_a_reader_calls_words(batch):
  tokens_BS, packs_BS = batch["tokens_BS"], batch["packs_BS"]
  maskable_BS = (packs_BS > 0) & (tokens_BS >= SPECIALS)
  units = find_words(
    maskable_BS, jnp.asarray(VOCABULARY.continues_V[tokens_BS]), packs_BS
  )
  for b, (tokens, packs) in enumerate(zip(tokens_BS, packs_BS, strict=True)):
    words = words_of(tokens, packs)
    assert np.flatnonzero(units.starts_BS[b]).tolist() == [w[0] for w in words]
    for word in words:
      assert units.size_BS[b, word[0]] == len(word)
      assert set(np.asarray(units.first_BS)[b, word].tolist()) == {word[0]}


@pytest.mark.parametrize("rate", [0.1, 0.15, 0.4, 0.9])
def test_words_are_taken_one_after_another_while_they_fit(batch, rate):
  """Against the sequential form, on the sizes that make it pass over most."""
  draw = np.random.default_rng(3)
  packs_BS = batch["packs_BS"]
  maskable_BS = packs_BS > 0
  sizes = (1, 1, 2, 3, 4, 5, 7, 9)
  starts_BS = np.zeros_like(maskable_BS)
  for b in range(len(packs_BS)):
    at = 0
    while at < SEQ:
      starts_BS[b, at] = True
      at += int(draw.choice(sizes))
  starts_BS[:, 1:] |= packs_BS[:, 1:] != packs_BS[:, :-1]
  starts_BS &= maskable_BS
  first_BS = np.maximum.accumulate(
    np.where(starts_BS, np.arange(SEQ), 0), axis=1
  )
  size_BS = np.stack(
    [
      np.bincount(first[real], minlength=SEQ)
      for first, real in zip(first_BS, maskable_BS, strict=True)
    ]
  ).astype(np.int32)
  # Few distinct scores, so that ties are met.
  scores_BS = draw.integers(0, 12, packs_BS.shape).astype(np.uint32)
  counts = prediction_counts(SEQ, rate)
  lengths = np.stack([(packs_BS == r).sum(axis=1) for r in range(1, 4)], axis=1)
  wanted_BR = counts[lengths]
  wanted_BS = np.take_along_axis(wanted_BR, np.maximum(packs_BS - 1, 0), axis=1)
  units = Units(
    jnp.asarray(starts_BS),
    jnp.asarray(first_BS, jnp.int32),
    jnp.asarray(size_BS),
  )
  taken_BS = np.asarray(
    jax.jit(choose_words)(units, scores_BS, packs_BS, wanted_BS)
  )
  passed_over = 0
  for b in range(len(packs_BS)):
    for r in range(3):
      mine = np.flatnonzero(starts_BS[b] & (packs_BS[b] == r + 1))
      spans = [list(range(s, s + size_BS[b, s])) for s in mine]
      taken = greedy(spans, scores_BS[b], wanted_BR[b, r])
      got = {
        p for s in mine if taken_BS[b, s] for p in range(s, s + size_BS[b, s])
      }
      assert got == taken
      passed_over += wanted_BR[b, r] - len(taken)
  assert passed_over, "sizes that always fit test nothing"


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_words_are_whole_and_the_count_is_never_exceeded(batch, unit, rate):
  masked = mask(batch, objective(unit, mask_rate=rate))
  chosen_BS = chosen(batch, masked)
  counts = prediction_counts(SEQ, rate)
  short_B = np.zeros(len(chosen_BS), int)
  for b, (tokens, packs) in enumerate(
    zip(batch["tokens_BS"], batch["packs_BS"], strict=True)
  ):
    for word in words_of(tokens, packs):
      assert len(set(chosen_BS[b, word])) == 1, "a part of a word"
    for r in range(1, 4):
      inside = packs == r
      maskable = int((inside & (tokens >= SPECIALS)).sum())
      wanted = min(maskable, counts[inside.sum()]) if inside.any() else 0
      got = int(chosen_BS[b, inside].sum())
      assert got <= wanted
      short_B[b] += wanted - got
  np.testing.assert_array_equal(masked.shortfall_B, short_B)
  fixed_BS = (batch["tokens_BS"] < SPECIALS) | (batch["packs_BS"] == 0)
  assert not (chosen_BS & fixed_BS).any()
  assert 0 < short_B.sum() < 0.1 * masked.weights_BP.sum()


def test_pieces_leave_no_shortfall(batch):
  assert not mask(batch, objective("token")).shortfall_B.any()


def test_words_of_one_piece_are_masked_as_pieces_are():
  one_piece = dataclasses.replace(
    VOCABULARY, continues_V=np.zeros(VOCABULARY.size, bool)
  )
  arrays = jax.tree.map(jnp.asarray, ragged(50, SEQ))
  word, piece = (
    mask_tokens(arrays, one_piece, objective(unit), slots=10)
    for unit in ("word", "token")
  )
  jax.tree.map(np.testing.assert_array_equal, word, piece)


def test_spans_have_the_lengths_of_spanbert():
  rows_, length = 400, 512
  draw = np.random.default_rng(0)
  maskable_BS = jnp.ones((rows_, length), bool)
  packs_BS = jnp.ones((rows_, length), jnp.int32)
  words = find_words(maskable_BS, jnp.zeros_like(maskable_BS), packs_BS)
  bits_BS = draw.integers(0, 2**32, (rows_, length), dtype=np.uint32)
  spans = jax.jit(find_spans)(words, maskable_BS, packs_BS, bits_BS)
  starts_BS = np.asarray(spans.starts_BS)
  assert starts_BS[:, 0].all()
  # The last of each row is cut by its end.
  lengths = np.concatenate([np.diff(np.flatnonzero(s)) for s in starts_BS])
  assert lengths.max() == SPAN_WORDS
  counts = np.bincount(lengths, minlength=SPAN_WORDS + 1)[1:]
  share = SPAN_RATE * (1 - SPAN_RATE) ** np.arange(SPAN_WORDS)
  share /= share.sum()
  assert (np.arange(1, SPAN_WORDS + 1) * share).sum() == pytest.approx(
    3.8, abs=0.01
  )
  expected = share * len(lengths)
  chi_square = ((counts - expected) ** 2 / expected).sum()
  # 9 degrees of freedom: mean 9, standard deviation 4.2.
  assert chi_square < 9 + 4.5 * 4.2
  # A span says nothing of the next one.
  assert abs(np.corrcoef(lengths[:-1], lengths[1:])[0, 1]) < 0.02


@pytest.mark.parametrize(("length", "mean"), [(512, 3.7), (128, 3.3)])
def test_what_is_chosen_are_spans_of_these_lengths(length, mean):
  """But for the last of a row, which ends where the count is full."""
  one_piece = dataclasses.replace(
    VOCABULARY, continues_V=np.zeros(VOCABULARY.size, bool)
  )
  # As many tokens at any length: the spans of 26 000 of them.
  count = 25_600 // length
  batch = rows([[example(length, seed)] for seed in range(count)], length, 1)
  arrays = jax.tree.map(jnp.asarray, batch)
  slots = num_slots(length, 1, 0.15)
  run = jax.jit(
    lambda batch: mask_tokens(batch, one_piece, objective("span"), slots=slots)
  )
  masked = jax.tree.map(np.asarray, run(arrays))
  assert not masked.shortfall_B.any()
  chosen_BS = chosen(batch, masked)
  runs = np.diff(chosen_BS.astype(int), axis=1) > 0
  # Spans that stand side by side look like one: with 15 % chosen, about every
  # sixth does.
  spans = (runs.sum() + chosen_BS[:, 0].sum()) / (1 - 0.15)
  assert chosen_BS.sum() / spans == pytest.approx(mean, abs=0.25)


def test_spans_are_of_whole_words_and_stay_in_their_segment(batch):
  tokens_BS, packs_BS = batch["tokens_BS"], batch["packs_BS"]
  maskable_BS = (packs_BS > 0) & (tokens_BS >= SPECIALS)
  words = jax.tree.map(
    np.asarray,
    find_words(
      maskable_BS, jnp.asarray(VOCABULARY.continues_V[tokens_BS]), packs_BS
    ),
  )
  draw = np.random.default_rng(1)
  bits_BS = draw.integers(0, 2**32, tokens_BS.shape, dtype=np.uint32)
  spans = jax.tree.map(
    np.asarray, find_spans(words, maskable_BS, packs_BS, bits_BS)
  )
  assert not (spans.starts_BS & ~words.starts_BS).any()
  assert spans.starts_BS.sum() < words.starts_BS.sum() / 2
  for b, s in np.argwhere(spans.starts_BS):
    inside = np.s_[b, s : s + spans.size_BS[b, s]]
    assert maskable_BS[inside].all()
    assert len(set(packs_BS[inside])) == 1
    assert words.starts_BS[inside].sum() <= SPAN_WORDS
  assert spans.size_BS.sum() == maskable_BS.sum()


def test_a_span_becomes_one_thing_and_the_pieces_of_a_word_differ():
  batch = rows([[example(SEQ, seed)] for seed in range(500)], SEQ, 1)
  kinds = {}
  for unit in UNITS:
    masked = mask(batch, objective(unit))
    kind_BS = np.zeros((500, SEQ), int)
    for b, p in np.argwhere(masked.weights_BP > 0):
      kind_BS[b, masked.positions_BP[b, p]] = masked.kind_BP[b, p]
    kinds[unit] = kind_BS
    filled = masked.kind_BP[masked.weights_BP > 0]
    for kind, share in ((MASK, 0.8), (RANDOM, 0.1), (KEPT, 0.1)):
      # Spans of about four words of 1.5 pieces are drawn as one.
      slack = 4.5 * (share * (1 - share) * 8 / len(filled)) ** 0.5
      assert abs((filled == kind).mean() - share) < slack, (unit, kind)
  mixed = dict.fromkeys(UNITS, 0)
  for b in range(500):
    for word in words_of(batch["tokens_BS"][b], batch["packs_BS"][b]):
      for unit in UNITS:
        found = set(kinds[unit][b, word])
        assert found == {NONE} or NONE not in found
        mixed[unit] += len(found) > 1
  assert mixed["word"] > 100
  assert mixed["span"] == 0


@pytest.mark.parametrize("unit", UNITS)
def test_an_example_has_the_same_mask_packed_or_alone(unit):
  ones = [example(length, seed=4) for length in (19, 14, 25)]
  packed = rows([ones], SEQ, 3)
  alone = rows([[one] for one in ones], SEQ, 1)
  together, apart = (mask(b, objective(unit)) for b in (packed, alone))
  for r, one in enumerate(ones):
    start, length = packed["starts_BR"][0, r], len(one.tokens)
    np.testing.assert_array_equal(
      together.tokens_BS[0, start : start + length],
      apart.tokens_BS[r, :length],
    )
    np.testing.assert_array_equal(
      chosen(packed, together)[0, start : start + length],
      chosen(alone, apart)[r, :length],
    )


@pytest.mark.parametrize("unit", UNITS)
def test_masks_are_the_same_on_any_number_of_devices(unit):
  batch = ragged(16, SEQ)
  mesh = jax.make_mesh((8,), ("data",))
  spec = jax.sharding.PartitionSpec("data")
  sharding = jax.sharding.NamedSharding(mesh, spec)
  run = lambda batch: mask_tokens(batch, VOCABULARY, objective(unit), slots=10)
  spread = jax.jit(run, in_shardings=sharding).lower(batch).compile()
  assert "all-" not in (spread.as_text() or ""), "no device asks another"
  jax.tree.map(
    np.testing.assert_array_equal, jax.jit(run)(batch), spread(batch)
  )


def test_random_tokens_may_be_of_the_whole_vocabulary():
  batch = rows([[example(SEQ, seed)] for seed in range(600)], SEQ, 1)
  rates = {"mask_token_rate": 0.0, "random_token_rate": 1.0}
  drawn = {}
  for pieces in ("ordinary", "all"):
    masked = mask(batch, objective("token", random_tokens=pieces, **rates))
    after_BP = np.take_along_axis(masked.tokens_BS, masked.positions_BP, axis=1)
    drawn[pieces] = after_BP[masked.kind_BP == RANDOM]
  assert drawn["ordinary"].min() == SPECIALS
  counts = np.bincount(drawn["all"], minlength=120)
  assert len(counts) == 120
  expected = len(drawn["all"]) / 120
  chi_square = ((counts - expected) ** 2 / expected).sum()
  # 119 degrees of freedom: standard deviation 15.4.
  assert 119 - 4.5 * 15.4 < chi_square < 119 + 4.5 * 15.4
