# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A group of keys has the draws of the whole, in either order of pairs."""

import jax
import numpy as np
import pytest

from bertjax.model.ops.flash_inputs import Settings, Shared, Tile
from bertjax.model.ops.triton_pairs import Pairs
from bertjax.model.ops.weight_draws import draw_all


@pytest.mark.parametrize("draws", ["uint16", "uint8"])
@pytest.mark.parametrize("keys_axis", [0, 1])
def test_the_parts_of_a_group_drop_what_the_whole_does(keys_axis, draws):
  seeds_BH2 = jax.random.bits(jax.random.key(3), (1, 1, 2), "uint32")
  bits_TS = np.asarray(draw_all(seeds_BH2, 256, draws))[0, 0]
  dropped_TS = bits_TS < 0.25 * 2 ** (8 * bits_TS.itemsize)
  settings = Settings(0.25, draws, Tile(128, 64), "gpu", True)
  pairs = Pairs(Shared(None, seeds_BH2[0, 0]), settings, keys_axis=keys_axis)
  for group, first in ((0, 0), (1, 192)):
    found = np.concatenate(pairs.dropped(group, first), axis=keys_axis)
    keys = slice(128 * group, 128 * group + 128)
    expected = dropped_TS[keys, first : first + 64]
    np.testing.assert_array_equal(
      found, expected if keys_axis == 0 else expected.T
    )
    starts = [keys.start for keys in pairs.parts(group)]
    assert starts == list(
      range(128 * group, 128 * group + 128, starts[1] - starts[0])
    )
