# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which test examples a run answers rightly, as results store it: a text."""

import numpy as np
from numpy.typing import NDArray


def write_right(right_N: NDArray[np.bool_]) -> str:
  """Return a text with 1 where an answer is right, and 0 elsewhere."""
  return "".join(np.where(right_N, "1", "0"))


def read_right(text: str) -> NDArray[np.bool_]:
  """Return what `write_right` was given."""
  return np.frombuffer(text.encode("ascii"), np.uint8) == ord("1")
