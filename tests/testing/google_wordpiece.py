# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Google's tokenizer, one character at a time, from what it is said to do.

The steps of google-research/bert, tokenization.py (README.md, "Tokenization"):
characters that are no text go, ideographs become words, words end at white
space, of an uncased vocabulary case and accents go word by word, punctuation
marks become words, and the longest piece that fits is taken off the front.
Only `unicodedata` and `str` are used, as there; nothing of `tokenizers`.
"""

import unicodedata

MAX_WORD = 200
# Of tokenization.py, `_is_chinese_char`: blocks, ends included.
IDEOGRAPHS = (
  (0x3400, 0x4DBF),
  (0x4E00, 0x9FFF),
  (0xF900, 0xFAFF),
  (0x20000, 0x2A6DF),
  (0x2A700, 0x2B73F),
  (0x2B740, 0x2B81F),
  (0x2B820, 0x2CEAF),
  (0x2F800, 0x2FA1F),
)


def tokenize(text, pieces, *, lowercase):
  """Ids of a text; `pieces` maps each piece to its id."""
  return [
    id_
    for word in words(text, lowercase=lowercase)
    for id_ in match(word, pieces)
  ]


def words(text, *, lowercase):
  """What is looked up, in order."""
  cleaned = "".join(clean(character) for character in text)
  found = []
  for word in cleaned.split():
    if lowercase:
      word = without_accents(word.lower())
    found += cut_marks(word).split()
  return found


def clean(character):
  """The character, a space, or nothing in its place."""
  if character in "\t\n\r":
    return " "
  category = unicodedata.category(character)
  if category in ("Cc", "Cf") or character == "\ufffd":
    return ""
  if category == "Zs":
    return " "
  code = ord(character)
  if any(first <= code <= last for first, last in IDEOGRAPHS):
    return f" {character} "
  return character


def without_accents(word):
  apart = unicodedata.normalize("NFD", word)
  return "".join(c for c in apart if unicodedata.category(c) != "Mn")


def cut_marks(word):
  """The word with spaces around every punctuation mark."""
  return "".join(f" {c} " if is_mark(c) else c for c in word)


def is_mark(character):
  # All of ASCII that is visible and no letter or digit counts, also $ and ^.
  if "!" <= character <= "~":
    return not character.isalnum()
  return unicodedata.category(character).startswith("P")


def match(word, pieces):
  """Ids of the longest pieces from the front; the unknown one if none fits."""
  unknown = [pieces["[UNK]"]]
  if len(word) > MAX_WORD:
    return unknown
  found, start = [], 0
  while start < len(word):
    prefix = "##" if start else ""
    for stop in range(len(word), start, -1):
      if prefix + word[start:stop] in pieces:
        break
    else:
      return unknown
    found.append(pieces[prefix + word[start:stop]])
    start = stop
  return found
