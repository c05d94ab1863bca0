# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of cutting segments."""

import numpy as np

from data_pipelines.host_rng import HostRng
from data_pipelines.rows.examples import count_front


def test_front_and_back_lose_equally_often():
  removed = np.tile(np.arange(0, 600), 40)
  front = count_front(HostRng("front"), "front", removed)
  assert (front >= 0).all()
  assert (front <= removed).all()
  deviation = np.sqrt(removed.sum()) / 2
  assert abs(front.sum() - removed.sum() / 2) < 5 * deviation
  # The coins of one example are independent: its count is binomial.
  large = removed >= 300
  scaled = (front - removed / 2)[large] / np.sqrt(removed[large] / 4)
  assert abs(scaled.std() - 1) < 0.05
