# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A batch keeps the contract, or is refused by the name of the array."""

import jax
import numpy as np
import pytest

from bertjax.batch import (
  PRETRAINING_FEATURES,
  check_batch,
  empty_batch,
)

SIZES = {"B": 4, "S": 16, "R": 2}


def test_an_empty_batch_keeps_the_contract_and_has_no_label():
  batch = empty_batch(PRETRAINING_FEATURES, SIZES)
  check_batch(batch, PRETRAINING_FEATURES)
  assert batch["key_BR2"].shape == (4, 2, 2)
  for name, array in batch.items():
    assert np.all(array == (-1 if name == "pair_label_BR" else 0)), name


def test_a_traced_batch_is_checked_as_a_concrete_one():
  batch = empty_batch(PRETRAINING_FEATURES, SIZES)
  check = lambda batch: check_batch(batch, PRETRAINING_FEATURES)
  jax.eval_shape(check, batch)
  batch["types_BS"] = batch["types_BS"][:, 1:]
  with pytest.raises(ValueError, match="types_BS has size 15 along S; give 16"):
    jax.eval_shape(check, batch)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"label_B": np.zeros(4, np.int32)}, r"the batch has .*'label_B'.*; give"),
    ({"tokens_BS": np.zeros((4, 16))}, "tokens_BS is float64; give int32"),
    (
      {"starts_BR": np.zeros(4, np.int32)},
      r"starts_BR has the shape \(4,\); give the axes BR",
    ),
    (
      {"starts_BR": np.zeros((3, 2), np.int32)},
      "starts_BR has size 3 along B; give 4",
    ),
    (
      {"key_BR2": np.zeros((4, 2, 3), np.uint32)},
      "key_BR2 has size 3 along 2; give 2",
    ),
  ],
)
def test_what_breaks_the_contract_is_named(changes, message):
  batch = {**empty_batch(PRETRAINING_FEATURES, SIZES), **changes}
  with pytest.raises(ValueError, match=message):
    check_batch(batch, PRETRAINING_FEATURES)


def test_a_batch_that_lacks_an_array_is_refused():
  batch = empty_batch(PRETRAINING_FEATURES, SIZES)
  del batch["packs_BS"]
  with pytest.raises(ValueError, match=r"give \[.*'packs_BS'"):
    check_batch(batch, PRETRAINING_FEATURES)
