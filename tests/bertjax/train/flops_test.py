# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""FLOPs are those of real tokens."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import SIZES, ComputeConfig
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


WINDOWS = dataclasses.replace(
  SIZES["tiny"],
  num_layers=7,
  attention_pattern="window",
  attention_window=9,
  global_every=3,
)


def pairs_of(packs_S, reach):
  """Count the pairs of one row that are in one pack and near each other."""
  places_S = np.arange(len(packs_S))
  near_ST = np.abs(places_S[:, None] - places_S) <= reach
  inside_ST = (packs_S[:, None] == packs_S) & (packs_S > 0)
  return int((near_ST & inside_ST).sum())


@pytest.mark.parametrize("reach", [0, 1, 4, 7, 1000])
def test_pairs_of_windows_are_counted_exactly(reach):
  batch = tiny.batch(0)
  expected = sum(pairs_of(row, reach) for row in batch["packs_BS"])
  got = flops.count({name: jnp.asarray(batch[name]) for name in batch}, reach)
  assert float(got["attended_locally"]) == expected
  # And where examples are equal.
  counts = flops.full_counts(3, 24, 2, reach)
  row_S = np.repeat([1, 2], 12)
  assert counts["attended_locally"] == 3 * pairs_of(row_S, reach)
  assert counts["attended"] == 3 * pairs_of(row_S, 24)


def test_windows_spare_flops_where_a_kernel_has_them():
  """Three of seven layers attend to everything."""
  reach = flops.kernel_reach(WINDOWS, ComputeConfig(attention="splash"))
  assert reach == 4
  assert flops.kernel_reach(WINDOWS, ComputeConfig(attention="xla")) is None
  full = dataclasses.replace(WINDOWS, attention_pattern="full")
  assert flops.kernel_reach(full, ComputeConfig(attention="splash")) is None
  plain = flops.train_flops(WINDOWS, flops.full_counts(2, 64), 5)
  assert plain == flops.train_flops(full, flops.full_counts(2, 64), 5)
  counts = flops.full_counts(2, 64, reach=reach)
  spared = 2 * (64**2 - pairs_of(np.ones(64, int), reach))
  got = flops.train_flops(WINDOWS, counts, 5)
  assert plain - got == 3 * 4 * spared * 4 * WINDOWS.hidden_size
