# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of what memory is said to be taken."""

import gc

import pytest

from tests.testing.memory import peak_bytes


def test_what_is_held_at_once_is_measured():
  assert 1 << 20 < peak_bytes(lambda: bytes(1 << 20)) < 1.1 * (1 << 20)
  together = peak_bytes(lambda: [bytes(1 << 16) for _ in range(32)])
  one_by_one = peak_bytes(lambda: sum(len(bytes(1 << 16)) for _ in range(32)))
  assert together > 20 * one_by_one


def test_garbage_of_before_does_not_count():
  class Costly:
    def __init__(self):
      self.cycle = self

    def __del__(self):
      bytes(1 << 20)

  def run():
    for _ in range(10_000):
      [[]].append([])  # enough objects for a collection, were it on

  Costly()
  assert peak_bytes(run) < 1 << 16
  assert gc.isenabled()


def test_it_is_run_again_where_it_took_more_than_is_allowed():
  sizes = [1 << 20, 1 << 19, 1 << 10, 1]
  peak_bytes(lambda: bytes(sizes.pop(0)), enough=1 << 18)
  assert sizes == [1]


def test_what_fails_leaves_the_collector_on():
  with pytest.raises(ZeroDivisionError):
    peak_bytes(lambda: 1 // 0)
  assert gc.isenabled()
