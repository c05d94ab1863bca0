# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""FLOPs are those of real tokens."""

import jax.numpy as jnp
import numpy as np

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
