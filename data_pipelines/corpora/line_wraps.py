# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find the paragraphs of a document, however its lines are wrapped."""

import re
from collections.abc import Sequence

import numpy as np

from data_pipelines.corpora.documents import WIDE_SPACE

OPENING = "\"'“‘«„‚‹»›([{*_「『（【《〈¿¡"
_NARROW_SPACES = "\t\v\f\r\x1c\x1d\x1e\x1f"
_UNFINISHED = ",;-—，、；،"
_BLANK_LINE = re.compile(r"\n\s*\n")
# A line that starts like this begins a paragraph, however the previous ends.
# Chinese and Japanese indent a paragraph by ideographic spaces.
_ITEM = re.compile(
  r"\n(?=[ \t]*(?:[-*•+]|\(?\d{1,3}[.)]|\(?[a-z]\)|>>>|\.\.\.|#+)[ \t]|\u3000)"
)
# Chinese and Japanese, whose lines are wrapped anywhere, and their marks.
# Korean has spaces between its words.
_UNSPACED = "\u3001-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff65"
_UNSPACED_LINE = re.compile(rf"\n(?=[{_UNSPACED}])")
_INSIDE_WORD = re.compile(rf"\n(?<=[{_UNSPACED}]\n)(?=[{_UNSPACED}])")
_FIRST_WORD = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")
# If most lines are longer than this, lines are not wrapped, and each line end
# ends a paragraph.
_WIDEST_WRAP = 120
# Columns below this are narrow: a line of verse or of a table is as long as a
# line of wrapped prose there, and length alone does not tell them apart.
_NARROW = 60
# A wrapped line is nearly full. A shorter line is a heading, a line of verse or
# of a table, unless it ends in a comma or the next line cannot start a
# sentence.
_SHORT_LINE = 0.7
_FULL_LINES = 0.8  # share of the lines of prose


def paragraphs(text: str) -> list[str]:
  """Return the paragraphs of a document, each as one line.

  A blank line, the start of a list item and a line that is much shorter than
  the others end a paragraph. Words at a line end are joined by a space, and
  ideographs by nothing. Paragraphs may be empty.
  """
  plain = _is_plain(text)
  if "\n" not in text:
    return [_single_spaced(text, plain=plain)]
  lines = text.split("\n")
  lengths = np.fromiter(map(len, lines), np.int64, len(lines))
  ordered = np.sort(lengths[lengths > 0])
  # Nine of ten lines are at most as wide.
  width = int(ordered[-(-9 * (len(ordered) - 1) // 10)]) if len(ordered) else 0
  if width <= _WIDEST_WRAP:
    lines = _joined(_with_breaks(lines, lengths, width))
  return [_single_spaced(line, plain=plain) for line in lines]


def _is_plain(text: str) -> bool:
  """Return whether spaces and line feeds are the only white space."""
  if text.isprintable():
    return True
  if any(space in text for space in _NARROW_SPACES):
    return False
  return text.isascii() or not WIDE_SPACE.search(text)


def _single_spaced(text: str, *, plain: bool) -> str:
  """Return what " ".join(text.split()) does, mostly in less time."""
  if plain:
    text = text.replace("\n", " ").strip(" ")
    if "  " not in text:
      return text
  return " ".join(text.split())


def _joined(lines: Sequence[str]) -> list[str]:
  text = _ITEM.sub("\n\n", "\n".join(lines))
  if _UNSPACED_LINE.search(text):
    text = "\n".join(map(str.rstrip, text.split("\n")))
    text = _INSIDE_WORD.sub("", text)
  return _BLANK_LINE.split(text)


def _with_breaks(
  lines: list[str], lengths: np.ndarray, width: int
) -> list[str]:
  """Put a blank line behind each line that was ended on purpose."""
  # Most short lines precede a blank line, which ends the paragraph anyway.
  followed = (lengths[:-1] > 0) & (lengths[1:] > 0)
  most = _SHORT_LINE * max(width, _NARROW)
  short = [
    i
    for i in np.flatnonzero(followed & (lengths[:-1] <= most)).tolist()
    if lines[i][-1] not in _UNFINISHED
  ]
  starts = [_start(lines[i + 1]) for i in short]
  full = followed & (lengths[:-1] > _SHORT_LINE * width)
  # In a narrow column of prose nearly all lines are full, and few start with a
  # capital; in one of verse nearly all do.
  prose = (
    width < _NARROW
    and full.sum() >= _FULL_LINES * followed.sum()
    and 2 * starts.count("capital") < followed.sum()
  )
  for i, start in zip(short, starts, strict=True):
    if not start:
      continue
    # A wrapped line has no room for the first word of the next line.
    if (prose or start == "caseless") and not _has_room(lines, i, width):
      continue
    if start == "caseless" and lengths[i] > _SHORT_LINE * width:
      continue
    lines[i] += "\n"
  return lines


def _has_room(lines: Sequence[str], i: int, width: int) -> bool:
  word = _FIRST_WORD.match(lines[i + 1])
  return len(lines[i]) + 1 + (len(word[0].strip()) if word else 0) <= width


def _start(line: str) -> str:
  """Return how a line could start a sentence, "" if it cannot."""
  first = line.lstrip().lstrip(OPENING)[:1]
  if first.isdecimal() or first.isupper() or first.istitle():
    return "capital"
  return "caseless" if first.isalpha() and not first.islower() else ""
