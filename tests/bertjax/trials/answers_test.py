# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from bertjax.trials.answers import read_right, write_right


def test_answers_are_read_as_they_were_written():
  right_N = np.array([True, False, False, True])
  assert write_right(right_N) == "1001"
  np.testing.assert_array_equal(read_right("1001"), right_N)
  assert read_right(write_right(right_N[:0])).shape == (0,)
