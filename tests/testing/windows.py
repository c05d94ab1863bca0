# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Windows that are made of arrays, without rows."""

import numpy as np

from bertjax.finetune.windows import Windows


def make_windows(arrays, count, examples=()):
  """Windows of an example each, of three tokens."""
  numbers_N = np.arange(count)
  return Windows(arrays, np.full(count, 3), numbers_N, examples)
