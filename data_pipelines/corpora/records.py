# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How the records of a corpus are read, and what reading them has met."""

import dataclasses

# Of records that are read several at a time.
_HELD_BYTES = 1 << 22
_MAX_ROWS = 256


@dataclasses.dataclass
class Tally:
  """What reading has met so far; the tallies of several sources add up.

  Documents that come out = records + cut - skipped - empty - short.

  Attributes:
    position: bytes read from the files, as they lie on disk.
    skipped: bad records that were left out.
    empty: documents without text, left out as well.
    short: documents with fewer characters than asked for, left out as well.
    cut: documents more than there were, because long ones were cut.
  """

  position: int = 0
  skipped: int = 0
  empty: int = 0
  short: int = 0
  cut: int = 0

  def __add__(self, other: "Tally") -> "Tally":
    mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
    return Tally(*map(sum, zip(mine, theirs, strict=True)))


@dataclasses.dataclass(frozen=True)
class Reading:
  """What makes a document, and which are taken.

  Attributes:
    documents: "file" makes a .txt file one document, "blank_line" starts one
      after each blank line.
    text_field: field of JSON objects, column of parquet files or feature of
      TFDS examples that holds the text.
    min_characters: a document with fewer is left out; white space around it
      does not count.
    skip_bad_records: count bad records instead of refusing them.
  """

  documents: str = "file"
  text_field: str = "text"
  min_characters: int = 0
  skip_bad_records: bool = False

  def bad(self, tally: Tally, place: str, what: str) -> None:
    """Count the bad record at `place`, or refuse it.

    Raises:
      ValueError: it is not to be skipped.
    """
    if not self.skip_bad_records:
      raise ValueError(
        f"{place}: {what}; mend it, or leave such out with --skip_bad_records"
      ) from None
    tally.skipped += 1


def first_line(error: Exception) -> str:
  """What an exception of somebody else's says, for a message of one line."""
  said = str(error).strip().partition("\n")[0].rstrip(".;: ")
  return said or type(error).__name__


def rows_at_once(size: int, rows: int) -> int:
  """Rows to hold at a time, so that they are few where they are long.

  Args:
    size: bytes of all rows together.
    rows: how many there are.
  """
  return max(1, min(_MAX_ROWS, _HELD_BYTES * rows // max(size, 1)))
