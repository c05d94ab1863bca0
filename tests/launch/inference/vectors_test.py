# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import errno
import os

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


@pytest.mark.parametrize("can_reserve", [True, False])
def test_the_space_of_all_rows_is_reserved(tmp_path, monkeypatch, can_reserve):
  """A write to a mapped file ends the process where the disk is full."""

  def refuse(*_):
    raise OSError(errno.EOPNOTSUPP, "not here")

  if not can_reserve:
    monkeypatch.setattr(os, "posix_fallocate", refuse)
  path, shape = tmp_path / "v.npy", (1500, 256)
  ArrayRows(path, 0, shape).close()
  assert path.stat().st_blocks * 512 >= 1500 * 256 * 4
  np.testing.assert_array_equal(np.load(path), np.zeros(shape, np.float32))
  np.save(tmp_path / "as_numpy_writes_it.npy", np.zeros(shape, np.float32))
  written = (tmp_path / "as_numpy_writes_it.npy").read_bytes()
  assert path.read_bytes() == written


def test_a_full_disk_keeps_nothing_reserved(tmp_path, monkeypatch):
  def fill(*_):
    raise OSError(errno.ENOSPC, "full")

  monkeypatch.setattr(os, "posix_fallocate", fill)
  with pytest.raises(OSError, match="full"):
    ArrayRows(tmp_path / "v.npy", 0, (1500, 256))
  assert (tmp_path / "v.npy").stat().st_size == 0
