# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of masking."""

import dataclasses
import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from bertjax.objectives import masking
from bertjax.objectives.masking import (
  KEPT,
  MASK,
  NONE,
  RANDOM,
  mask_tokens,
  num_slots,
  prediction_counts,
)
from tests.testing.examples import MASK as MASK_ID
from tests.testing.examples import SPECIALS, example, ragged, rows, vocabulary

OBJECTIVE = ObjectiveConfig()
SEQ = 32


def mask(batch, objective=OBJECTIVE, slots=None):
  length, packs = batch["tokens_BS"].shape[1], batch["key_BR2"].shape[1]
  slots = slots or num_slots(length, packs, objective.mask_rate)
  run = jax.jit(
    lambda batch: mask_tokens(batch, vocabulary(), objective, slots=slots)
  )
  return jax.tree.map(np.asarray, run(batch))


def chosen(batch, masked):
  """Bool of the batch's shape: what the slots point to."""
  chosen_BS = np.zeros(batch["tokens_BS"].shape, bool)
  for b, p in np.argwhere(masked.weights_BP > 0):
    assert not chosen_BS[b, masked.positions_BP[b, p]], "a slot twice"
    chosen_BS[b, masked.positions_BP[b, p]] = True
  return chosen_BS


def test_counts_round_half_to_even_as_python_does():
  counts = prediction_counts(512, 0.15)
  assert counts.dtype == np.int32
  # google-research/bert, create_pretraining_data.py, rounds so: 19 of 128 and
  # 77 of 512; halves: 1.5, 4.5, 7.5 of 10, 30, 50.
  assert [counts[n] for n in (128, 512, 10, 30, 50)] == [19, 77, 2, 4, 8]
  assert counts[:4].tolist() == [0, 1, 1, 1]
  exact = [round(Fraction("0.15") * length) for length in range(1, 513)]
  assert counts[1:].tolist() == [max(1, count) for count in exact]


def test_float32_would_round_otherwise_at_some_length():
  """Why the counts are a table and not an expression inside jit."""
  differs = [
    (rate, length)
    for rate in (0.15, 0.3, 0.25, 0.35)
    for length in range(1, 513)
    if round(rate * length)
    != int(np.round(np.float32(rate) * np.float32(length)))
  ]
  assert differs


@pytest.mark.parametrize("rate", [0.15, 0.3, 1.0])
def test_slots_are_the_worst_case_over_all_ways_to_pack(rate):
  counts = prediction_counts(14, rate)
  for packs in (1, 2, 3):
    worst = max(
      sum(counts[list(lengths)])
      for lengths in itertools.product(range(15), repeat=packs)
      if sum(lengths) <= 14
    )
    assert num_slots(14, packs, rate) == worst


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.3, 1.0])
def test_every_example_gets_its_exact_count(rate):
  objective = dataclasses.replace(OBJECTIVE, mask_rate=rate)
  batch = rows(
    [[example(n, 0), example(m, 1)] for n, m in ((5, 27), (9, 6), (16, 16))]
    + [[example(32, 2)], []],
    SEQ,
    2,
  )
  masked = mask(batch, objective)
  chosen_BS = chosen(batch, masked)
  for b, pack in itertools.product(range(5), (1, 2)):
    inside_S = batch["packs_BS"][b] == pack
    length = int(inside_S.sum())
    maskable = int((inside_S & (batch["tokens_BS"][b] >= SPECIALS)).sum())
    expected = min(maskable, max(1, round(rate * length))) if length else 0
    assert int((chosen_BS[b] & inside_S).sum()) == expected
  assert not chosen_BS[batch["packs_BS"] == 0].any()


def test_an_example_with_fewer_pieces_than_its_count_gives_them_all():
  batch = rows([[example(20, 0)]], SEQ, 1)
  batch["tokens_BS"][0, 1:20] = 3
  batch["tokens_BS"][0, 7] = 50
  masked = mask(batch)
  assert np.argwhere(chosen(batch, masked)).tolist() == [[0, 7]]
  batch["tokens_BS"][0, 7] = 3
  assert not mask(batch).weights_BP.any()


def test_specials_and_padding_are_never_chosen_and_never_changed():
  batch = ragged(200, SEQ)
  masked = mask(batch, dataclasses.replace(OBJECTIVE, mask_rate=0.9))
  fixed_BS = (batch["tokens_BS"] < SPECIALS) | (batch["packs_BS"] == 0)
  assert not (chosen(batch, masked) & fixed_BS).any()
  np.testing.assert_array_equal(
    masked.tokens_BS[fixed_BS], batch["tokens_BS"][fixed_BS]
  )


def test_slots_say_what_stood_there_and_what_became_of_it():
  batch = ragged(64, SEQ)
  masked = mask(batch)
  chosen_BS = chosen(batch, masked)
  np.testing.assert_array_equal(
    masked.tokens_BS[~chosen_BS], batch["tokens_BS"][~chosen_BS]
  )
  at = lambda values_BS: np.take_along_axis(
    values_BS, masked.positions_BP, axis=1
  )
  filled_BP = masked.weights_BP > 0
  np.testing.assert_array_equal(
    masked.targets_BP[filled_BP], at(batch["tokens_BS"])[filled_BP]
  )
  after_BP, kind_BP = at(masked.tokens_BS), masked.kind_BP
  assert (after_BP[kind_BP == MASK] == MASK_ID).all()
  assert (after_BP[kind_BP == RANDOM] >= SPECIALS).all()
  kept_BP = kind_BP == KEPT
  np.testing.assert_array_equal(after_BP[kept_BP], masked.targets_BP[kept_BP])
  for array in (masked.positions_BP, masked.targets_BP, kind_BP):
    assert not array[~filled_BP].any()
  assert (kind_BP[filled_BP] != NONE).all()
  for positions_P, filled_P in zip(masked.positions_BP, filled_BP, strict=True):
    assert (np.diff(positions_P[filled_P]) > 0).all()


@pytest.fixture(scope="module")
def many():
  """Masks of 4,000 rows of 32: 20,000 pieces (5 a row)."""
  batch = rows([[example(SEQ, seed)] for seed in range(4000)], SEQ, 1)
  return batch, mask(batch)


def within(share, expected, count):
  """Four and a half binomial standard deviations."""
  return (
    abs(share - expected) < 4.5 * (expected * (1 - expected) / count) ** 0.5
  )


def test_eighty_ten_ten(many):
  _, masked = many
  kinds = masked.kind_BP[masked.weights_BP > 0]
  assert len(kinds) == 4000 * 5
  for kind, share in ((MASK, 0.8), (RANDOM, 0.1), (KEPT, 0.1)):
    assert within((kinds == kind).mean(), share, len(kinds)), kind


def test_random_tokens_are_uniform_over_the_ordinary_ones(many):
  _, masked = many
  after_BP = np.take_along_axis(masked.tokens_BS, masked.positions_BP, axis=1)
  drawn = after_BP[masked.kind_BP == RANDOM]
  counts = np.bincount(drawn, minlength=120)[SPECIALS:]
  expected = len(drawn) / len(counts)
  chi_square = ((counts - expected) ** 2 / expected).sum()
  # 114 degrees of freedom: mean 114, standard deviation 15.
  assert 114 - 4.5 * 15 < chi_square < 114 + 4.5 * 15
  # The replacement does not depend on what stood there or where.
  assert (
    abs(np.corrcoef(drawn, masked.targets_BP[masked.kind_BP == RANDOM])[0, 1])
    < 0.1
  )


def test_every_place_is_as_likely(many):
  batch, masked = many
  share_S = chosen(batch, masked).sum(axis=0) / (
    batch["tokens_BS"] >= SPECIALS
  ).sum(axis=0).clip(1)
  middle = share_S[2:-2]
  assert within(middle.mean(), 5 / 29, 4000 * len(middle))
  assert all(within(share, 5 / 29, 4000) for share in middle)


def test_an_example_has_the_same_mask_packed_or_alone_and_anywhere():
  lengths = (9, 14, 5, 21, 6, 10)
  ones = [example(length, seed=4) for length in lengths]
  packed = rows([[*ones[:3]], [ones[4], ones[3]], [ones[5]]], SEQ, 3)
  alone = rows([[one] for one in reversed(ones)], SEQ, 1)
  masked_packed, masked_alone = mask(packed), mask(alone)
  places = {0: (0, 0), 1: (0, 1), 2: (0, 2), 3: (1, 1), 4: (1, 0), 5: (2, 0)}
  picked = chosen(packed, masked_packed), chosen(alone, masked_alone)
  for number, (b, r) in places.items():
    start, length = packed["starts_BR"][b, r], lengths[number]
    mine = np.s_[b, start : start + length]
    other = np.s_[len(ones) - 1 - number, :length]
    np.testing.assert_array_equal(picked[0][mine], picked[1][other])
    np.testing.assert_array_equal(
      masked_packed.tokens_BS[mine], masked_alone.tokens_BS[other]
    )


def test_another_key_is_another_mask():
  batch = rows([[example(SEQ, 0)]] * 2, SEQ, 1)
  same = mask(batch)
  np.testing.assert_array_equal(same.positions_BP[0], same.positions_BP[1])
  for word in range(2):
    other = dict(batch, key_BR2=batch["key_BR2"].copy())
    other["key_BR2"][1, 0, word] ^= 1
    assert not np.array_equal(mask(other).positions_BP[1], same.positions_BP[1])


def test_nothing_is_clipped_in_the_worst_packing():
  objective = OBJECTIVE
  lengths = (5, 5, 5, 5, 5, 7)
  batch = rows([[example(n, s) for s, n in enumerate(lengths)]], SEQ, 6)
  masked = mask(batch, objective)
  assert masked.weights_BP.sum() == sum(prediction_counts(7, 0.15)[[*lengths]])
  roomy = mask(batch, objective, slots=SEQ + 3)
  assert roomy.positions_BP.shape == (1, SEQ + 3)
  assert roomy.weights_BP.sum() == masked.weights_BP.sum()


@pytest.mark.parametrize("slots", [3, 12, SEQ, SEQ + 3])
def test_slots_are_those_of_a_sort(slots):
  """Too few for some rows, enough, and more than there are positions."""
  draw = np.random.default_rng(0)
  tokens_BS, corrupted_BS = draw.integers(5, 120, (2, 40, SEQ), dtype=np.int32)
  rate_B1 = np.linspace(0, 1, 40)[:, None]  # no token to all of them
  chosen_BS = draw.random((40, SEQ)) < rate_B1
  kind_BS = chosen_BS * draw.integers(1, 4, (40, SEQ), dtype=np.int32)
  got = jax.jit(masking._compact, static_argnums=3)(
    tokens_BS, corrupted_BS, kind_BS, slots, np.zeros(40, np.int32)
  )
  for b in range(40):
    places = np.sort(np.flatnonzero(chosen_BS[b]))[:slots]
    filled = len(places)
    np.testing.assert_array_equal(got.positions_BP[b, :filled], places)
    np.testing.assert_array_equal(
      got.targets_BP[b, :filled], tokens_BS[b, places]
    )
    np.testing.assert_array_equal(got.kind_BP[b, :filled], kind_BS[b, places])
    for array in got[1:5]:  # positions, targets, weights and kinds
      assert not np.asarray(array)[b, filled:].any()
    assert got.weights_BP[b].sum() == filled
  np.testing.assert_array_equal(got.tokens_BS, corrupted_BS)


@pytest.mark.parametrize("unit", ["token", "word", "span", "ngram"])
def test_no_program_sorts(unit):
  """A sort is slow on vector units, and TPUs take seconds to compile it."""
  objective = dataclasses.replace(OBJECTIVE, mask_unit=unit)
  run = jax.jit(
    lambda batch: mask_tokens(batch, vocabulary(), objective, slots=7)
  )
  assert "stablehlo.sort" not in run.lower(ragged(4, SEQ)).as_text()


def test_masking_is_traced_once():
  traces = []

  def run(batch):
    traces.append(None)
    return mask_tokens(batch, vocabulary(), OBJECTIVE, slots=5)

  jitted = jax.jit(run)
  for seed in range(3):
    jitted(ragged(4, SEQ, seed))
  assert len(traces) == 1


def test_masks_are_the_same_on_any_number_of_devices():
  batch = ragged(16, SEQ)
  mesh = jax.make_mesh((8,), ("data",))
  spec = jax.sharding.PartitionSpec("data")
  sharding = jax.sharding.NamedSharding(mesh, spec)
  run = lambda batch: mask_tokens(batch, vocabulary(), OBJECTIVE, slots=5)
  alone = jax.jit(run)(batch)
  spread = jax.jit(run, in_shardings=sharding)(batch)
  jax.tree.map(np.testing.assert_array_equal, alone, spread)
