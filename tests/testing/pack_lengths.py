# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Lengths of examples to pack into rows."""

import numpy as np

CAPACITY = 64


def _draw():
  rng = np.random.default_rng(3)
  return {
    "many short": rng.integers(3, 30, 700),
    "many full": np.where(
      rng.random(700) < 0.6, CAPACITY, rng.integers(3, CAPACITY, 700)
    ),
    "one": np.array([17]),
  }


LENGTHS = _draw()
