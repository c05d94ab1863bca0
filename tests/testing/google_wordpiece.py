# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Google's WordPiece tokenizer, written again as an oracle for tests.

The steps are those of google-research/bert, tokenization.py (README.md,
"Tokenization"): control characters are dropped, ideographs become words, words
end at white space, an uncased vocabulary folds case and drops accents,
punctuation marks become words, and the longest matching token is taken from
the front of a word, again and again. Like the original it uses only
`unicodedata` and `str`, and nothing of `tokenizers`.
"""

import unicodedata

MAX_WORD = 200
# Blocks in `_is_chinese_char` of tokenization.py, ends included.
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


def tokenize(text, ids, *, lowercase):
  """Ids of a text; `ids` maps each token to its id."""
  return [
    id_ for word in words(text, lowercase=lowercase) for id_ in match(word, ids)
  ]


def words(text, *, lowercase):
  """The words to look up, in order."""
  cleaned = "".join(clean(character) for character in text)
  found = []
  for word in cleaned.split():
    if lowercase:
      word = without_accents(word.lower())
    found += cut_marks(word).split()
  return found


def clean(character):
  """The character, or a space or nothing in its place."""
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
  # All visible ASCII but letters and digits is punctuation, also $ and ^.
  if "!" <= character <= "~":
    return not character.isalnum()
  return unicodedata.category(character).startswith("P")


def match(word, ids):
  """Ids of the longest tokens from the front; [UNK] if none matches."""
  unknown = [ids["[UNK]"]]
  if len(word) > MAX_WORD:
    return unknown
  found, start = [], 0
  while start < len(word):
    prefix = "##" if start else ""
    for stop in range(len(word), start, -1):
      if prefix + word[start:stop] in ids:
        break
    else:
      return unknown
    found.append(ids[prefix + word[start:stop]])
    start = stop
  return found
