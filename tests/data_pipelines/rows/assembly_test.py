# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the arrays of a batch."""

import hashlib
import itertools

import numpy as np
import pytest

from bertjax.batch import PRETRAINING_FEATURES, check_batch
from tests.testing import synthetic
from tests.testing.batches import (
  CELLS,
  CLS,
  PAD,
  SEP,
  SEQ,
  make,
  packs,
)


@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_keeps_the_contract(cell, made):
  pipeline = make(made, cell=cell)
  batch = pipeline.batch(3)
  check_batch(batch, PRETRAINING_FEATURES)
  assert batch["tokens_BS"].shape == (12, SEQ)
  assert batch["starts_BR"].shape == (12, pipeline.num_packs)
  for row in range(12):
    numbers = batch["packs_BS"][row]
    filled = np.flatnonzero(numbers)
    # Packs come one after another from the left; then only padding.
    np.testing.assert_array_equal(filled, np.arange(len(filled)))
    assert (np.diff(numbers[filled]) >= 0).all()
    count = int(numbers.max())
    assert count >= 1
    assert (batch["tokens_BS"][row, len(filled) :] == PAD).all()
    for name in ("types_BS", "positions_BS"):
      assert (batch[name][row, len(filled) :] == 0).all()
    assert (batch["starts_BR"][row, count:] == 0).all()
    assert (batch["pair_label_BR"][row, count:] == -1).all()
    assert (batch["key_BR2"][row, count:] == 0).all()
    for pack in range(count):
      at = np.flatnonzero(numbers == pack + 1)
      assert batch["starts_BR"][row, pack] == at[0]
      np.testing.assert_array_equal(
        batch["positions_BS"][row, at], np.arange(len(at))
      )


@pytest.mark.parametrize("cell", CELLS)
def test_a_pack_is_cls_and_closed_segments_of_neighbouring_tokens(cell, made):
  pipeline = make(made, cell=cell)
  for step in range(4):
    for pack in packs(pipeline.batch(step)):
      tokens, types = np.array(pack["tokens"]), np.array(pack["types"])
      assert tokens[0] == CLS
      assert types[0] == 0
      assert tokens[-1] == SEP
      assert (tokens[1:] != CLS).all()
      ends = np.flatnonzero(tokens == SEP)
      for start, end in itertools.pairwise([0, *ends]):
        segment = tokens[start + 1 : end]
        assert len(segment) >= 1
        np.testing.assert_array_equal(np.diff(segment), 1)
        assert len(set(types[start + 1 : end + 1])) == 1
      if cell[0] == "segment_pair":
        assert types[ends].tolist() in ([0], [0, 1])


def texts_of(tokens, template):
  """The texts of a pack, and whether they are joined as a pair."""
  tokens, size = list(tokens), len(template.first)
  assert tuple(tokens[:size]) == template.first
  assert tuple(tokens[-len(template.last) :]) == template.last
  found, text = [], []
  for token in tokens[size:]:
    if token != SEP:
      assert token not in template.ids
      text.append(token)
    elif text:
      found.append(text)
      text = []
  is_pair = len(found) == 2 and tokens == template.join(*found).tolist()
  return found, is_pair


@pytest.mark.parametrize("cell", CELLS)
def test_a_pack_has_the_special_tokens_of_its_store(cell, roberta):
  template, pairs, singles = synthetic.ROBERTA, 0, 0
  assert roberta.template == template
  pipeline = make(roberta, cell=cell)
  for step in range(4):
    batch = pipeline.batch(step)
    assert not batch["types_BS"].any()
    for pack in packs(batch):
      texts, is_pair = texts_of(pack["tokens"], template)
      for text in texts:
        np.testing.assert_array_equal(np.diff(text), 1)
      if cell[0] == "segment_pair" and len(texts) == 2:
        assert is_pair
        pairs += 1
      else:
        # Documents in one example have one end each.
        size = sum(map(len, texts)) + len(texts)
        assert len(pack["tokens"]) == size + len(template.first)
        singles += 1
  assert pairs if cell[0] == "segment_pair" else singles


@pytest.mark.parametrize("cell", CELLS)
def test_no_example_is_longer_than_its_row(cell, roberta):
  pipeline = make(roberta, cell=cell, max_packs=1, short_rate=0)
  length_B = (pipeline.batch(0)["packs_BS"] > 0).sum(axis=1)
  assert length_B.max() == SEQ


def test_rows_of_bert_are_those_of_earlier_versions(made):
  """The arrays of a batch, hashed before rows had templates."""
  hashes = {cell: hashlib.sha256() for cell in CELLS}
  for cell in CELLS:
    for name, array in sorted(make(made, cell=cell).batch(3).items()):
      hashes[cell].update(name.encode() + array.tobytes())
  found = [each.hexdigest()[:8] for each in hashes.values()]
  assert found == ["81f5b72c", "eb63529e", "1a5fb229", "3c5ca984"]
