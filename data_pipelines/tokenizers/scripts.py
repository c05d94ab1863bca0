# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What scripts do that words and marks depend on."""

import unicodedata

# Thai, Lao, Myanmar, Khmer, kana and ideographs: text without spaces between
# words.
_UNSPACED = (
  *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF)),
  *((0x1A20, 0x1AAF), (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF)),
  *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F)),
  (0x20000, 0x2FA1F),
)
# Scripts whose words people recognize without their marks.
_READ_WITHOUT_MARKS = ("LATIN", "GREEK", "CYRILLIC")
# Marks that belong to no script, or select a glyph.
_COMMON_MARKS = ("COMBINING ", "VARIATION SELECTOR")
_LETTERS_AND_MARKS = frozenset("LM")


def is_unspaced(character: str) -> bool:
  """Return whether a letter is of a script without spaces between words.

  A mark is not a letter, nor is a sign that lengthens or repeats the letter
  before it.
  """
  code = ord(character)
  return unicodedata.category(character) in ("Lo", "Nl") and any(
    first <= code <= last for first, last in _UNSPACED
  )


def is_letter_or_mark(character: str) -> bool:
  """Return whether a character is a letter or a mark of a letter."""
  return unicodedata.category(character)[0] in _LETTERS_AND_MARKS


def loses_mark(character: str) -> bool:
  """Return whether removing accents takes a needed mark from a character.

  BERT's way of removing accents removes all nonspacing marks: vowel signs of
  Devanagari and Thai, and the voicing of kana, as well as accents. It counts
  where the script is neither Latin, Greek nor Cyrillic.
  """
  base, *marks = unicodedata.normalize("NFD", character)
  if unicodedata.category(base) == "Mn":
    name = unicodedata.name(base, "")
    # A common mark stands behind any letter, mostly a Latin one; those of kana
    # are named after them.
    return not name.startswith(_COMMON_MARKS) or "KATAKANA" in name
  if not any(unicodedata.category(mark) == "Mn" for mark in marks):
    return False
  return unicodedata.category(base)[0] == "L" and not unicodedata.name(
    base, ""
  ).startswith(_READ_WITHOUT_MARKS)
