# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Split documents into sentences, however their lines are wrapped.

Only white space is added, dropped or moved.
"""

import re
from typing import Literal, get_args

import numpy as np

Mode = Literal["segment", "lines"]
MODES = get_args(Mode)

_OPENING = "\"'“‘«([{*_"
# A line that starts like this begins a paragraph, however the previous ends.
_ITEM = re.compile(
  r"\n(?=[ \t]*(?:[-*•+]|\(?\d{1,3}[.)]|\(?[a-z]\)|>>>|\.\.\.|#+)[ \t])"
)
_CAPITAL = rf"[{re.escape(_OPENING)}]*[^\Wa-z_]"
_CAPITAL_LINE = re.compile(rf"[ \t]*{_CAPITAL}")
_UNFINISHED = ",;-—"
_BLANK_LINE = re.compile(r"\n\s*\n")
# If most lines are longer than this, lines are not wrapped, and each line end
# ends a paragraph.
_WIDEST_WRAP = 120
_NARROWEST_WRAP = 60
# A wrapped line is nearly full. A shorter line is a heading, a line of verse or
# of a table, unless it ends in a comma or the next line cannot start a
# sentence.
_SHORT_LINE = 0.7

# A mark that can end a sentence, closing quotes and brackets, and then
# something that can start one. Ideographic marks need no space after them.
# The pattern starts with one character set, because the search for the first
# character takes most of the time.
_IDEOGRAPHIC = "。！？｡"
_END = re.compile(
  rf"[.!?…؟۔।॥{_IDEOGRAPHIC}][\"'”’»)\]}}*_」』）]*"
  rf"(?:[ ](?={_CAPITAL}|[^\w\s])|(?<=[{_IDEOGRAPHIC}])"
  rf"|(?<=[{_IDEOGRAPHIC}][」』”’）]))"
)
# Titles and Latin abbreviations: their full stop never ends a sentence.
_TITLES = """
  mr mrs ms messrs mme mlle dr prof st ste rev hon gov sen rep gen col
  maj capt cpt lt lieut sgt cpl adm cmdr sr hr fr br mt ft vs viz cf eg ie
  approx esp messieurs supt insp
"""
# The full stop of these does not end a sentence if a number follows.
_NUMBERED = """
  no nos vol vols p pp ch chap fig figs sec sect art arts eq eqs ex par pt
  bk ver v ll
  jan feb mar apr jun jul aug sep sept oct nov dec
"""
_ABBREVIATES = frozenset(_TITLES.split())
_ABBREVIATES_BEFORE_DIGITS = frozenset(_NUMBERED.split())
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_HOURS = frozenset(("a.m", "p.m"))
# "3." or "Chapter IV." in front of its text.
_MARKER = re.compile(
  r"(?:(?i:chapter|section|part|book|volume|act|scene|canto|figure|table) )?"
  r"[(\[]?(?:\d{1,3}|[IVXLC]{1,6})"
)


def split(text: str, mode: str = "segment") -> list[str]:
  """Return the sentences of a document in order, stripped of white space.

  Args:
    text: the document, with line feeds as line ends.
    mode: "lines" makes each line a sentence. "segment" undoes hard wraps and
      finds the ends of sentences; a blank line, the start of a list item and
      a line that is much shorter than the others always end a sentence.

  Raises:
    ValueError: an unknown mode.
  """
  return [
    sentence
    for paragraph in split_paragraphs(text, mode)
    for sentence in paragraph
  ]


def split_paragraphs(text: str, mode: str = "segment") -> list[list[str]]:
  """Return the sentences of each paragraph of a document; see `split`.

  In the mode "lines" each line is a paragraph.
  """
  if mode == "lines":
    return [[line] for line in map(str.strip, text.split("\n")) if line]
  if mode != "segment":
    raise ValueError(f"sentences={mode!r}; choose from {', '.join(MODES)}")
  # Joining words by single spaces undoes hard wraps.
  found = (
    _split_sentences(" ".join(paragraph.split()))
    for paragraph in _paragraphs(text)
  )
  return [sentences for sentences in found if sentences]


def _paragraphs(text: str) -> list[str]:
  lines = text.split("\n")
  lengths = np.fromiter(map(len, lines), np.int64, len(lines))
  full = lengths[lengths > 0]
  width = np.percentile(full, 90) if len(full) else 0
  if width > _WIDEST_WRAP:
    return lines
  short = lengths <= _SHORT_LINE * max(width, _NARROWEST_WRAP)
  # Most short lines precede a blank line, which ends the paragraph anyway.
  candidates = (lengths > 0) & short
  candidates[:-1] &= lengths[1:] > 0
  for i in np.flatnonzero(candidates[:-1]).tolist():
    if lines[i][-1] not in _UNFINISHED and _CAPITAL_LINE.match(lines[i + 1]):
      lines[i] += "\n"
  return _BLANK_LINE.split(_ITEM.sub("\n\n", "\n".join(lines)))


def _split_sentences(paragraph: str) -> list[str]:
  start, sentences = 0, []
  for match in _END.finditer(paragraph):
    if _ends_sentence(paragraph, start, match):
      sentences.append(paragraph[start : match.end()].strip())
      start = match.end()
  if rest := paragraph[start:].strip():
    sentences.append(rest)
  return sentences


def _ends_sentence(paragraph: str, start: int, match: re.Match[str]) -> bool:
  end = match.end()
  if end == len(paragraph) or match[0][-1] != " ":
    return True
  following = paragraph[end]
  if not following.isalnum():
    following = paragraph[end : end + 9].lstrip(_OPENING + "—–- ")[:1]
  if following.islower():
    return False
  if match[0][:2] != ". ":
    # "Wait... What?" has two sentences, '"Come!" Rose cried' only one: they
    # look alike here, so both are split.
    return True
  return not _abbreviates(paragraph[start : match.start()], following)


def _abbreviates(before: str, following: str) -> bool:
  """Return whether `before` ends with an abbreviation, not a sentence."""
  if _MARKER.fullmatch(before):
    return True
  word = before[before.rfind(" ") + 1 :].lstrip(_OPENING + "—–-")
  if _INITIALS.fullmatch(word):
    # "J. R. R. Tolkien", "U.S. Senate", but "So do I. Then", "at 3 a.m. He".
    return word != "I" and word.lower() not in _HOURS
  word = word.lower()
  return word in _ABBREVIATES or (
    word in _ABBREVIATES_BEFORE_DIGITS and following.isdigit()
  )
