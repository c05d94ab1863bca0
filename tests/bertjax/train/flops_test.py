# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""FLOPs are those of real tokens."""

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import SIZES
from bertjax.train import flops
from tests.testing import tiny


def test_counts_are_of_real_tokens_only():
  batch = tiny.batch(0)
  lengths = np.array(
    [[(row == pack).sum() for pack in (1, 2)] for row in batch["packs_BS"]]
  )
  got = flops.count({name: jnp.asarray(batch[name]) for name in batch})
  assert float(got["tokens"]) == lengths.sum()
  assert float(got["attended"]) == (lengths**2).sum()
  assert float(got["examples"]) == (lengths > 0).sum()


@pytest.mark.parametrize(
  ("size", "length", "predictions", "published"),
  [
    ("base", 128, 20, 69.93e9),
    ("base", 512, 76, 300.87e9),
    ("large", 128, 20, 240.64e9),
    ("large", 512, 76, 1019.76e9),
  ],
)
def test_flops_follow_the_convention(size, length, predictions, published):
  counts = {"tokens": length, "attended": length**2, "examples": 1}
  got = flops.train_flops(SIZES[size], counts, predictions)
  assert got == pytest.approx(published, rel=1e-4)
