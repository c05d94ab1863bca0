# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find the quote that makes a .csv file unreadable.

An open quote takes the lines after it into its field, so that the line where a
reader fails, and the row that it reads there, are not those of the mistake.
"""

from collections.abc import Iterable
from typing import NamedTuple

_FIX = 'close it, or write a quote that is part of a text twice ("")'


class OpenQuote(NamedTuple):
  """A quote at the start of a field that does not end with it.

  Attributes:
    line: the line where it is opened.
    closed: the line where it is closed before other text; 0 if nowhere.
  """

  line: int
  closed: int

  def __str__(self) -> str:
    """Say what is wrong with its line, and what to do."""
    if not self.closed:
      return f"it opens a quote that is never closed; {_FIX}"
    where = "" if self.closed == self.line else f" on line {self.closed}"
    return f"it opens a quote that is closed{where} before other text; {_FIX}"


def find(lines: Iterable[str], first: int, delimiter: str) -> OpenQuote | None:
  """Return the quote that is wrong in a row (RFC 4180); None without one.

  Args:
    lines: the lines of the row with their ends, and those behind it.
    first: number of the first one.
    delimiter: what divides fields.
  """
  is_open, is_start, opened = False, True, 0
  for number, line in enumerate(lines, first):
    characters = iter(line)
    for character in characters:
      if is_open:
        if character != '"':
          continue
        after = next(characters, "\n")
        if after not in {'"', delimiter, "\r", "\n"}:
          return OpenQuote(opened, number)
        is_open, is_start = after == '"', after != '"'
      elif is_start and character == '"':
        is_open, opened = True, number
      else:
        is_start = character in {delimiter, "\r", "\n"}
  return OpenQuote(opened, 0) if is_open else None
