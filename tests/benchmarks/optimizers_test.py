# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""An update moves its bytes in place, and each optimizer has a figure."""

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import optimizers, updates
from tests.testing.examples import SMALL


def test_adamw_moves_gradients_parameters_and_both_moments():
  kernel = jnp.ones((1, 64, 64))
  params = {"encoder": {"layers": {"mlp_up": {"kernel": kernel}}}}
  update, moved = updates.make_update("adamw", params)
  # Read: gradient, parameter, two moments. Written: the last three.
  assert 7 * kernel.nbytes <= moved < 7 * kernel.nbytes + 100
  first, _ = update()
  first = np.asarray(first["encoder"]["layers"]["mlp_up"]["kernel"])
  second, _ = update()
  second = np.asarray(second["encoder"]["layers"]["mlp_up"]["kernel"])
  assert (second < first).all()
  assert (first < 1).all()
  np.testing.assert_array_equal(kernel, 1)


def test_a_copy_reads_and_writes_as_many_bytes():
  copied = updates.make_copy(1000)()
  assert updates.nbytes(copied) == 500


@pytest.mark.full
def test_each_optimizer_is_measured_beside_a_copy():
  found = [*optimizers.measure(SMALL, "small", optimizers.NAMES, 1)]
  assert [each.what for each in found] == [
    f"update by {name}, BERT-small" for name in optimizers.NAMES
  ]
  for each in found:
    assert each.ratio
    assert (each.unit, each.of) == ("GB/s", "a copy")
