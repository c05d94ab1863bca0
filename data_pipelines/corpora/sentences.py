# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Split documents into sentences, however their lines are wrapped.

Only white space is added, dropped or moved. Time is linear in the length of a
document.
"""

import functools
import itertools
import re
from typing import Literal, get_args

from data_pipelines.corpora.line_wraps import OPENING, paragraphs
from data_pipelines.corpora.sentence_rules import PRIOR, SentenceRules

Mode = Literal["segment", "lines"]
MODES = get_args(Mode)

# Marks that need a space after them, because they also stand inside of words
# and numbers; and marks that end a sentence wherever they are: of Chinese and
# Japanese, Hindi and its neighbors, Urdu and Arabic, Amharic, Burmese, Khmer
# and Armenian.
_SPACED = ".!?…‼‽⁇⁈⁉"
_UNSPACED = "。！？｡।॥۔؟።፧፨။។៕։"
_MARKS = _SPACED + _UNSPACED
# Closing quotes and brackets. Behind a mark without a space the German “ and «
# close, too; behind a mark of `_UNSPACED` they open the next sentence.
_CLOSING = "”’»›)\\]}*_」』）》〉】〕"
_CLOSING_AFTER_SPACED = "\"'“‘«‹" + _CLOSING
# A run of marks, also with spaces between them ("! !", ". . .", "？！"). Only
# the first mark of a run starts a match, and nothing is tried twice, which
# keeps the search linear. The pattern starts with one character set, because
# the search for the first character takes most of the time.
_RUN = (
  rf"[{_MARKS}](?<![{_MARKS}].)(?<![{_MARKS}] .)"
  rf"[{_MARKS}]*+(?:[ ][{_MARKS}]++(?!\w))*+"
)


def _compile_end(letter: str) -> re.Pattern[str]:
  """Compile the end of a sentence, where `letter` can start the next.

  A run of marks and closing quotes or brackets; French puts a space before
  these. Behind a mark of `_UNSPACED` that is all, and the group `sure` matches
  (with the number of a Sanskrit verse); otherwise a space follows, and
  something that can start a sentence.
  """
  verse = r"(?: ?\d{1,4} ?॥)?+"
  start = (
    rf"(?:[{re.escape(OPENING)}]*+{letter}"
    rf"|[^\w\s{_MARKS}{_CLOSING}]|[*_»›]|[.…]+(?=\w))"
  )
  return re.compile(
    rf"{_RUN}(?:(?<=[{_UNSPACED}])(?P<sure>{verse}[{_CLOSING}]*+[\"']?+)"
    rf"|[{_CLOSING_AFTER_SPACED}]*+(?: [”’»›](?= |$))?+[ ](?={start}))"
  )


_END_BEFORE_CAPITAL = _compile_end(r"[^\Wa-z_]")
_END_BEFORE_LETTER = _compile_end(r"[^\W_]")
# Before a lower-case letter no ellipsis and no quotation ends a sentence.
_PLAIN_END = re.compile(r"(?:\.|[!?]+) ")
# "J", "U.S", and the plurals "EE" and "UU" of Spanish.
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]|([^\W\d_a-z])\1")
_HOURS = frozenset(("a.m", "p.m"))
# "3." or "Chapter IV." in front of its text.
_MARKER = re.compile(
  r"(?:(?i:chapter|section|part|book|volume|act|scene|canto|figure|table) )?"
  r"[(\[]?(?:\d{1,3}|[IVXLC]{1,6})"
)
_LONGEST_MARKER = 16
_LONGEST_WORD = 64
_SKIPPED = OPENING + "—–- .…"  # in front of a word
_Kind = Literal["word", "abbreviation", "learned", "before a number", "ordinal"]
_ORDINAL = re.compile(r"\d{1,2}")
_WORD = re.compile(r"[^\W\d_]+")
# A word that starts a sentence, but not "A." of a name, nor "TITLE".
_STARTER = re.compile(
  rf"[{re.escape(_SKIPPED)}]*([^\W\d_](?=[ ’'])|\w[^\WA-Z\d_]+)"
)
# Dots that lead from a title to the number of its page.
_LEADER = 4
# A document without capitals has at least so many ends of sentences, or it
# tells nothing about its sentences.
_FEWEST_ENDS = 4
_LOWER_END = re.compile(r"\w{2}[.!?] [^\W\d_]")


def split(
  text: str, mode: str = "segment", rules: SentenceRules = PRIOR
) -> list[str]:
  """Return the sentences of a document in order, stripped of white space.

  Args:
    text: the document, with line feeds as line ends.
    mode: "lines" makes each line a sentence. "segment" undoes hard wraps and
      finds the ends of sentences; a blank line, the start of a list item and
      a line that is much shorter than the others always end a sentence.
    rules: what is known about the language.

  Raises:
    ValueError: an unknown mode.
  """
  return [
    sentence
    for paragraph in split_paragraphs(text, mode, rules)
    for sentence in paragraph
  ]


def split_paragraphs(
  text: str, mode: str = "segment", rules: SentenceRules = PRIOR
) -> list[list[str]]:
  """Return the sentences of each paragraph of a document; see `split`.

  In the mode "lines" each line is a paragraph.
  """
  if mode == "lines":
    return [[line] for line in map(str.strip, text.split("\n")) if line]
  if mode != "segment":
    raise ValueError(f"sentences={mode!r}; choose from {', '.join(MODES)}")
  document = _Document(text, rules)
  found = map(document.sentences, paragraphs(text))
  return [sentences for sentences in found if sentences]


class _Document:
  """Finds the sentences of the paragraphs of one document."""

  def __init__(self, text: str, rules: SentenceRules) -> None:
    self._text = text
    self._rules = rules
    self._lower = rules.lower_case or _is_lower(text)
    self._ends = _END_BEFORE_LETTER if self._lower else _END_BEFORE_CAPITAL
    self._kinds: dict[str, _Kind] = {}

  def sentences(self, paragraph: str) -> list[str]:
    start, sentences = 0, []
    quotes: _Quotes | None = None
    for match in self._ends.finditer(paragraph):
      end = match.end()
      if match.lastgroup:
        # An ASCII quote behind "。" may also open the next sentence.
        if paragraph[end - 1] in "'\"":
          quotes = quotes or _Quotes(paragraph)
          end -= quotes.opens(end - 1)
      elif not self._ends_sentence(paragraph, start, match.start(), end):
        continue
      sentences.append(paragraph[start:end].rstrip())
      start = end + (paragraph[end : end + 1] == " ")
    if rest := paragraph[start:].strip():
      sentences.append(rest)
    return sentences

  def _ends_sentence(
    self, paragraph: str, start: int, stop: int, end: int
  ) -> bool:
    """Return whether a sentence ends with the marks from `stop` to `end`."""
    following = paragraph[end]
    if not following.isalnum():
      following = paragraph[end : end + 12].lstrip(_SKIPPED)[:1]
    if following.islower() and not (
      self._lower and _PLAIN_END.fullmatch(paragraph, stop, end)
    ):
      return False
    if end - stop > 2 or paragraph[stop] != ".":
      # "Wait... What?" has two sentences, '"Come!" Rose cried' only one: they
      # look alike here, so both are split. "Index . . . . . 12" has one.
      return not following.isdecimal() or (
        paragraph.count(".", stop, end) < _LEADER
      )
    if stop - start <= _LONGEST_MARKER and _MARKER.fullmatch(
      paragraph, start, stop
    ):
      return False
    word = paragraph[paragraph.rfind(" ", start, stop) + 1 or start : stop]
    kind = self._kinds.get(word)
    if kind is None:
      kind = self._kinds[word] = self._kind(word.lstrip(_SKIPPED))
    return kind == "word" or self._ends_with(kind, paragraph, end, following)

  def _kind(self, word: str) -> _Kind:
    rules, lower = self._rules, word.lower()
    forms = {word, lower}
    if not forms.isdisjoint(rules.abbreviations):
      return "abbreviation"
    if lower not in _HOURS and _INITIALS.fullmatch(word):
      # "So do I. Then", "at 3 a.m. He". A script without case has words of
      # one letter, and so has a text without capitals.
      cased = (word.isupper() or word.islower()) and not self._lower
      if "." in word or (cased and word != "I"):
        return "learned"
    if not forms.isdisjoint(rules.learned):
      return "learned"
    if not forms.isdisjoint(rules.before_digits):
      return "before a number"
    return "ordinal" if _ORDINAL.fullmatch(word) else "word"

  def _ends_with(
    self, kind: _Kind, paragraph: str, end: int, following: str
  ) -> bool:
    """Return whether a full stop behind a word of this kind ends a sentence."""
    if kind == "abbreviation":
      return False
    if following.isdecimal():
      return kind == "ordinal"
    if kind == "before a number":
      return True
    capital = following.isupper() or following.istitle()
    if kind == "ordinal" and not capital:
      return True
    if kind == "learned" and not (capital and self._rules.starters):
      return False
    # "Am 3. Oktober", but "in room 3. Then": "then" is known in lower case.
    found = _STARTER.match(paragraph, end, end + _LONGEST_WORD)
    return bool(found) and found[1].lower() in self._starters

  @functools.cached_property
  def _starters(self) -> frozenset[str]:
    if self._rules.starters is not None:
      return self._rules.starters
    return frozenset(filter(str.islower, _WORD.findall(self._text)))


class _Quotes:
  """Tells which ASCII quotes of a paragraph open and which close."""

  def __init__(self, paragraph: str) -> None:
    self._paragraph = paragraph
    self._counted = {"'": (0, 0), '"': (0, 0)}  # up to where, and how many

  def opens(self, at: int) -> bool:
    """Return whether the quote at `at` opens; asked in order."""
    quote = self._paragraph[at]
    start, count = self._counted[quote]
    count += self._paragraph.count(quote, start, at)
    self._counted[quote] = (at, count)
    return count % 2 == 0


def _is_lower(text: str) -> bool:
  """Return whether the document has sentences and no capital at all."""
  if not text.islower():
    return False
  # Far faster than the pattern, which finds no more.
  marks = text.count(". ") + text.count("! ") + text.count("? ")
  if marks < _FEWEST_ENDS:
    return False
  ends = _LOWER_END.finditer(text)
  return len(list(itertools.islice(ends, _FEWEST_ENDS))) == _FEWEST_ENDS
