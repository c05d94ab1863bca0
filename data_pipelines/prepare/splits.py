# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the documents that are held out for validation."""

from collections.abc import Callable, Iterator

from data_pipelines.corpora import documents

# A next-sentence partner comes from another document of the same split.
_MIN_VALIDATION = 2


def split_limit(digests: Callable[[], Iterator[bytes]], share: float) -> float:
  """Return the largest `documents.share` of validation, -1 for no validation.

  Of four documents or more at least two are held out, so that each can be the
  random partner of the other.

  Args:
    digests: yields the hashes of all documents, each time it is called.
    share: share of the documents to hold out.

  Raises:
    ValueError: training or validation would have no document.
  """
  if not share:
    return -1.0
  count = 0
  limit, greatest = -1.0, -1.0
  least: list[float] = []
  for value in map(documents.share, digests()):
    count += 1
    greatest = max(greatest, value)
    least = sorted({*least, value})[:_MIN_VALIDATION]  # of distinct shares
    if value < share:
      limit = max(limit, value)
  wanted = min(_MIN_VALIDATION, count // 2)
  if wanted and limit < least[min(wanted, len(least)) - 1]:
    limit = least[min(wanted, len(least)) - 1]
  if limit in (-1.0, greatest):
    raise ValueError(
      f"validation={share:g} leaves nothing to train or to validate on "
      f"(different documents: {len(set(digests()))}); give "
      "documents=blank_line, validation=FILE or validation=0"
    )
  return limit
