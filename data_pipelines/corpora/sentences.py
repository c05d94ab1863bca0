# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents into sentences, whatever lines they came in.

No character but white space is ever added, dropped or moved.
"""

import re

import numpy as np

MODES = ("segment", "lines")

_OPENING = "\"'“‘«([{*_"
# A line that starts like this starts anew, wherever the one before it ends.
_ITEM = re.compile(
  r"\n(?=[ \t]*(?:[-*•+]|\(?\d{1,3}[.)]|\(?[a-z]\)|>>>|\.\.\.|#+)[ \t])"
)
_CAPITAL = rf"[{re.escape(_OPENING)}]*[^\Wa-z_]"
_CAPITAL_LINE = re.compile(rf"[ \t]*{_CAPITAL}")
_UNFINISHED = ",;-—"
_BLANK_LINE = re.compile(r"\n\s*\n")
# Where most lines are longer than this, nobody wrapped them by hand, and a
# line end is the end of a paragraph.
_WIDEST_WRAP = 120
_NARROWEST_WRAP = 60
# A wrapped line is nearly full; one this much shorter is a heading, a line of
# verse or of a table, if what follows can start a sentence and no comma
# promises more.
_SHORT_LINE = 0.7

# A mark that can end a sentence, closing quotes and brackets, and then
# something that can start one. Ideographic marks need no space after them.
# One character set in front: the search for it takes most of the time.
_IDEOGRAPHIC = "。！？｡"
_END = re.compile(
  rf"[.!?…؟۔।॥{_IDEOGRAPHIC}][\"'”’»)\]}}*_」』）]*"
  rf"(?:[ ](?={_CAPITAL}|[^\w\s])|(?<=[{_IDEOGRAPHIC}])"
  rf"|(?<=[{_IDEOGRAPHIC}][」』”’）]))"
)
# Titles and Latin shorthand, which no sentence ends with.
_TITLES = """
  mr mrs ms messrs mme mlle dr prof st ste rev hon gov sen rep gen col
  maj capt cpt lt lieut sgt cpl adm cmdr sr hr fr br mt ft vs viz cf eg ie
  approx esp messieurs supt insp
"""
# These end one, too, unless a number follows.
_NUMBERED = """
  no nos vol vols p pp ch chap fig figs sec sect art arts eq eqs ex par pt
  bk ver v ll
  jan feb mar apr jun jul aug sep sept oct nov dec
"""
_ABBREVIATES = frozenset(_TITLES.split())
_ABBREVIATES_BEFORE_DIGITS = frozenset(_NUMBERED.split())
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_HOURS = frozenset(("a.m", "p.m"))
# "3." or "Chapter IV." before its own words, not at the end of a sentence.
_MARKER = re.compile(
  r"(?:(?i:chapter|section|part|book|volume|act|scene|canto|figure|table) )?"
  r"[(\[]?(?:\d{1,3}|[IVXLC]{1,6})"
)


def split(text: str, mode: str = "segment") -> list[str]:
  """Sentences of a document, in order, without white space around them.

  Args:
    text: the document, lines ended by line feeds.
    mode: "lines" takes each line for a sentence. "segment" undoes hard wraps
      and finds sentence ends; a blank line, an item of a list, and a line
      that was broken early always end one.

  Raises:
    ValueError: another mode.
  """
  return [
    sentence
    for paragraph in split_paragraphs(text, mode)
    for sentence in paragraph
  ]


def split_paragraphs(text: str, mode: str = "segment") -> list[list[str]]:
  """Sentences of each paragraph of a document; see `split`.

  With "lines" a line is a paragraph.
  """
  if mode == "lines":
    return [[line] for line in map(str.strip, text.split("\n")) if line]
  if mode != "segment":
    raise ValueError(f"sentences={mode!r}; choose from {', '.join(MODES)}")
  # White space of any kind becomes one space: this undoes the wraps.
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
  # Before a blank line the paragraph ends anyway: most short lines are done.
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
    return (
      True  # "Wait... What?", and '"Come!" Rose cried', which none can tell
    )
  return not _abbreviates(paragraph[start : match.start()], following)


def _abbreviates(before: str, following: str) -> bool:
  """Whether the word at the end of `before` keeps its full stop for itself."""
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
