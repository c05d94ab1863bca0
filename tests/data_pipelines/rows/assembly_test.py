# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the arrays of a batch."""

import itertools

import numpy as np
import pytest

from bertjax.batch import PRETRAINING_FEATURES, check_batch
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
