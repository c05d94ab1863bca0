# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What every score asks of its arguments."""

from collections.abc import Sized


def check_examples(*arrays: Sized) -> None:
  """Refuse to score nothing, or arrays of different lengths.

  Raises:
    ValueError: there is no example, or an array has another number of them.
  """
  counts = [len(array) for array in arrays]
  if len(set(counts)) > 1:
    raise ValueError(
      f"predictions and answers have {' and '.join(map(str, counts))} "
      "examples; give as many of each"
    )
  if not counts[0]:
    raise ValueError("no examples to score; give a split that has some")
