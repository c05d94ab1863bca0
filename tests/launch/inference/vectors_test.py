# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from launch.inference.vectors import ArrayRows


def test_rows_after_the_extent_are_written_again(tmp_path):
  path = tmp_path / "v.npy"
  rows = ArrayRows(path, 0, (4, 2))
  rows.write(np.ones((2, 2), np.float32))
  assert rows.sync() == 2
  rows.write(np.full((1, 2), 9, np.float32))  # killed before it is certain
  rows.close()
  rows = ArrayRows(path, 2, (4, 2))
  rows.write(np.zeros((2, 2), np.float32))
  assert rows.sync() == 4
  rows.close()
  np.testing.assert_array_equal(np.load(path)[:, 0], [1, 1, 0, 0])
  with pytest.raises(ValueError, match=r"has the shape \(4, 2\), not \(5, 2\)"):
    ArrayRows(path, 2, (5, 2))
