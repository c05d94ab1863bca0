# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How documents are read from a corpus, and counts of what was read."""

import dataclasses
from typing import Annotated, Literal

from bertjax.config.fields import AtLeast, AtMost, check_types
from data_pipelines.corpora.compression import ZSTD_LONG

# Limits on how many records are read in one call.
_MAX_BYTES_AT_ONCE = 1 << 22
_MAX_ROWS_AT_ONCE = 256


@dataclasses.dataclass
class ReadCounts:
  """What was read and left out so far; counts of several sources add up.

  Documents that come out = records + cut - skipped - empty - short.

  Attributes:
    position: bytes read from the files, compressed as they are on disk.
    skipped: bad records that were left out.
    empty: documents without text that were left out.
    short: documents with fewer than `min_characters` that were left out.
    cut: additional documents that came from cutting long ones.
    nuls: NUL characters that were removed.
  """

  position: int = 0
  skipped: int = 0
  empty: int = 0
  short: int = 0
  cut: int = 0
  nuls: int = 0

  def __add__(self, other: "ReadCounts") -> "ReadCounts":
    mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
    return ReadCounts(*map(sum, zip(mine, theirs, strict=True)))


@dataclasses.dataclass(frozen=True)
class ReadOptions:
  """What a document is, and which documents are kept.

  Attributes:
    documents: "file" makes a .txt file one document, "blank_line" starts a
      new one after each blank line.
    text_field: name of the JSON field, column or TFDS feature that holds the
      text.
    min_characters: a shorter document is left out; white space at its ends
      does not count.
    skip_bad_records: count bad records instead of refusing them.
    tfds_data_dir: folder of prepared TFDS data sets; "" is TFDS's default.
    zstd_long: binary logarithm of the largest window of a .zst file to read,
      in bytes, as `zstd --long` has it; the window is held in memory.
    exclude: folders, as paths or URLs, that are never text: what the command
      itself writes.
  """

  documents: Literal["file", "blank_line"] = "file"
  text_field: str = "text"
  min_characters: Annotated[int, AtLeast(0)] = 0
  skip_bad_records: bool = False
  tfds_data_dir: str = ""
  zstd_long: Annotated[int, AtLeast(ZSTD_LONG), AtMost(31)] = ZSTD_LONG
  exclude: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    check_types(self)
    if not self.text_field:
      raise ValueError("text_field=''; give a name")

  def skip_or_raise(self, counts: ReadCounts, place: str, reason: str) -> None:
    """Count the bad record at `place`, or refuse it.

    Raises:
      ValueError: bad records are not to be skipped.
    """
    if not self.skip_bad_records:
      raise ValueError(
        f"{place}: {reason}; correct it, or leave bad records out with "
        "--skip_bad_records"
      ) from None
    counts.skipped += 1


def rows_at_once(size: int, rows: int) -> int:
  """Return how many rows to hold in memory: few rows where they are long.

  Args:
    size: bytes of all rows together.
    rows: number of rows.
  """
  fitting = _MAX_BYTES_AT_ONCE * rows // max(size, 1)
  return max(1, min(_MAX_ROWS_AT_ONCE, fitting))
