# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of flat ranges."""

import numpy as np

from data_pipelines.store.ranges import flatten_ranges


def test_ranges_flatten_as_a_loop_would():
  starts, counts = np.array([5, 0, 9, 2]), np.array([2, 0, 3, 1])
  assert flatten_ranges(starts, counts).tolist() == [5, 6, 9, 10, 11, 2]
  assert flatten_ranges(starts[:0], counts[:0]).tolist() == []
