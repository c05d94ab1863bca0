# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of one row after another, word by word, from the draws of the step."""

from fractions import Fraction
from typing import Any

import jax
import numpy as np

from bertjax.model.ops.random_bits import threefry
from bertjax.objectives.masking import KEPT, MASK, NONE, RANDOM
from bertjax.objectives.units import SPAN_RATE, SPAN_WORDS


def draw(key, length):
  """Return an example's draws: order, kind, token, span end; uint32 [4, S]."""
  places: Any = np.arange(length, dtype=np.uint32)
  blocks = [
    threefry(
      (np.full_like(places, key[0]), np.full_like(places, key[1])),
      (places, np.full_like(places, block)),
    )
    for block in range(2)
  ]
  return np.concatenate(jax.device_get(blocks))


def shares_of(objective):
  """Return {n: share of the units that have n words}, exactly."""
  if objective.mask_unit == "ngram":
    weights = {n: Fraction(1, n) for n in range(1, objective.max_ngram + 1)}
  elif objective.mask_unit == "span":
    stays = 1 - Fraction(SPAN_RATE).limit_denominator(100)
    weights = {n: stays ** (n - 1) for n in range(1, SPAN_WORDS + 1)}
  else:
    weights = {1: Fraction(1)}
  total = sum(weights.values())
  return {n: weight / total for n, weight in weights.items()}


def find_words(tokens, vocabulary, unit):
  """Return the segments of an example as lists of words, lists of places."""
  segments, inside = [], False
  for place, token in enumerate(tokens):
    if vocabulary.special_V[token]:
      inside = False
      continue
    if not inside:
      segments.append([])
    if inside and unit != "token" and vocabulary.continues_V[token]:
      segments[-1][-1].append(place)
    else:
      segments[-1].append([place])
    inside = True
  return segments


def group(segment, shares, ends):
  """Return the words of a segment as a list of units, lists of words."""
  units = []
  for word in segment:
    if units:
      # Does the unit before end here, given that it has so many words?
      so_many = len(units[-1])
      longer = sum(share for n, share in shares.items() if n >= so_many)
      chance = round(shares[so_many] / longer * 2**24)
      if ends[word[0]] >> 8 >= chance:
        units[-1].append(word)
        continue
    units.append([word])
  return units


def mask_example(tokens, key, vocabulary, objective):
  """Return the tokens after corruption, their kinds, and the units taken."""
  order, kind, token, ends = draw(key, len(tokens))
  shares, unit_ = shares_of(objective), objective.mask_unit
  units = [
    unit
    for segment in find_words(tokens, vocabulary, unit_)
    for unit in group(segment, shares, ends)
  ]
  first = lambda unit: unit[0][0]
  left = max(1, round(objective.mask_rate * len(tokens)))
  corrupted, kinds, taken = tokens.copy(), np.zeros_like(tokens), []
  for unit in sorted(units, key=lambda unit: (order[first(unit)], first(unit))):
    for word in unit:
      if len(word) > left:
        continue
      left -= len(word)
      taken.append((unit, word))
      for place in word:
        decides = first(unit) if unit_ == "span" else place
        kinds[place] = _kind(int(kind[decides]) >> 8, objective)
        if kinds[place] == MASK:
          corrupted[place] = vocabulary.mask_id
        elif kinds[place] == RANDOM:
          ordinary = vocabulary.ordinary_W
          corrupted[place] = ordinary[int(token[place]) % len(ordinary)]
  return corrupted, kinds, taken


def mask_batch(batch, vocabulary, objective):
  """Return `mask_example`'s tokens and kinds of all packs, [B, S] each."""
  tokens_BS = batch["tokens_BS"].copy()
  kinds_BS = np.full_like(tokens_BS, NONE)
  for b, packs_S in enumerate(batch["packs_BS"]):
    for r, key in enumerate(batch["key_BR2"][b]):
      mine = np.flatnonzero(packs_S == r + 1)
      if len(mine):
        tokens_BS[b, mine], kinds_BS[b, mine], _ = mask_example(
          tokens_BS[b, mine], key, vocabulary, objective
        )
  return tokens_BS, kinds_BS


def _kind(drawn, objective):
  mask = round(objective.mask_token_rate * 2**24)
  random = round(objective.random_token_rate * 2**24)
  return MASK if drawn < mask else RANDOM if drawn < mask + random else KEPT
