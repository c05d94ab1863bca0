# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.finetune import fitting
from bertjax.finetune.fitting import count_that_fits, needed_bytes
from tests.testing.trials import CONFIG, make_inputs

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def inputs():
  return make_inputs(CONFIG)


def test_as_many_run_at_once_as_fit(inputs):
  assert count_that_fits(inputs, SEEDS) == 1  # on a CPU
  assert count_that_fits(inputs, SEEDS, limit=10**12) == 3
  two = needed_bytes(inputs, SEEDS[:2])
  three = needed_bytes(inputs, SEEDS)
  assert two < three
  assert count_that_fits(inputs, SEEDS, limit=int(two / 0.9) + 10) == 2
  assert count_that_fits(inputs, SEEDS, limit=10) == 1


def test_the_process_that_needs_most_decides_for_all(inputs, monkeypatch):
  """Processes that train groups of two sizes would wait for each other."""
  three = needed_bytes(inputs, SEEDS)
  monkeypatch.setattr(
    fitting.multihost,
    "all_gather",
    lambda topic, own: [own, 2 * own] if topic == "memory of runs" else [own],
  )
  assert count_that_fits(inputs, SEEDS, limit=int(three / 0.9) + 10) < 3


def test_the_smallest_device_decides_for_all(inputs, monkeypatch):
  three = int(needed_bytes(inputs, SEEDS) / 0.9) + 10
  monkeypatch.setattr(
    fitting.multihost,
    "all_gather",
    lambda topic, own: [own, three // 2] if topic == "device memory" else [own],
  )
  assert count_that_fits(inputs, SEEDS, limit=three) < 3
