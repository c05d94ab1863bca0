# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Windows that are made of arrays, and rows of one window each."""

import numpy as np

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.finetune.windows import Windows


def make_windows(arrays, count, examples=(), **fields):
  """Windows of an example each, of three tokens."""
  numbers_N = np.arange(count)
  return Windows(arrays, np.full(count, 3), numbers_N, examples, **fields)


def features_of(lengths, seq_length=512):
  """One window a row; its tokens depend on its length alone."""
  sizes = {"B": len(lengths), "S": seq_length, "R": 1}
  batch = empty_batch(ENCODER_FEATURES, sizes)
  for row, length in enumerate(lengths):
    draw = np.random.default_rng(length)
    batch["tokens_BS"][row, :length] = draw.integers(5, 120, length)
    batch["positions_BS"][row, :length] = np.arange(length)
    batch["packs_BS"][row, :length] = 1
  return batch
