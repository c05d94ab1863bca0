# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which documents are held out for validation."""

from collections.abc import Callable, Iterator

from data_pipelines.corpora import documents

# A next-sentence partner comes from another document of the same split.
_LEAST_VALIDATION = 2


def split_limit(digests: Callable[[], Iterator[bytes]], share: float) -> float:
  """Largest `documents.share` that goes to validation; -1 for none.

  At least two documents go, where there are four, so that each can be the
  other's partner.

  Args:
    digests: of all documents, as often as it is called.
    share: wanted.

  Raises:
    ValueError: nothing would be left on one side.
  """
  if not share:
    return -1.0
  count = 0
  limit, greatest = -1.0, -1.0
  least: list[float] = []
  for value in map(documents.share, digests()):
    count += 1
    greatest = max(greatest, value)
    least = sorted({*least, value})[:_LEAST_VALIDATION]  # of different ones
    if value < share:
      limit = max(limit, value)
  wanted = min(_LEAST_VALIDATION, count // 2)
  if wanted and limit < least[min(wanted, len(least)) - 1]:
    limit = least[min(wanted, len(least)) - 1]
  if limit in (-1.0, greatest):
    raise ValueError(
      f"validation={share:g} leaves nothing to train or to validate on "
      f"(different documents: {len(set(digests()))}); give "
      "documents=blank_line, validation=FILE or validation=0"
    )
  return limit
