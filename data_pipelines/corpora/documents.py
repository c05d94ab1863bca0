# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A document, and the hash that decides its place and its split."""

import hashlib
import re
from typing import NamedTuple

from data_pipelines.corpora.reading import ReadCounts

# Beyond ASCII; `str.isspace` knows no other.
WIDE_SPACE = re.compile(
  "[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
)
_NARROW_SPACES = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
_TO_SPACE = bytes.maketrans(_NARROW_SPACES, b" " * len(_NARROW_SPACES))


class Document(NamedTuple):
  """One text, whose sentences belong together in this order.

  Attributes:
    name: where the text came from, for messages: "FILE:LINE",
      "stdlib:asyncio".
    text: characters, with line feeds as line ends.
  """

  name: str
  text: str


def clean_text(text: str, counts: ReadCounts) -> str:
  """Return `text` with line feeds as the only line ends and without NULs.

  Form feeds and vertical tabs become line feeds: tokenizers drop them, which
  would join two words. A NUL is most often half of a UTF-16 character; those
  that are removed are counted.
  """
  if "\r" in text:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
  if "\0" in text:
    counts.nuls += text.count("\0")
    text = text.replace("\0", "")
  return text.replace("\f", "\n").replace("\v", "\n")


def digest(text: str) -> bytes:
  """Hash a text to 16 bytes, over its normalized white space.

  File and place do not matter: a corpus that is cut into other files makes
  the same store. Documents that are equal but for their white space (a final
  line feed, other line wraps) are always in the same split.
  """
  # What " ".join(text.split()) makes, in less than half of the time. Printable
  # text has no white space but the plain space.
  if text.isprintable():
    words = text.encode().strip()
  else:
    if not text.isascii():
      text = WIDE_SPACE.sub(" ", text)
    words = text.encode().translate(_TO_SPACE).strip()
  if b"  " in words:
    words = b" ".join(filter(None, map(bytes.strip, words.split(b"  "))))
  return hashlib.blake2b(words, digest_size=16).digest()


def order(digest: bytes) -> bytes:
  """Return the key by which documents are sorted to shuffle them."""
  return digest[:8]


def share(digest: bytes) -> float:
  """Return a number in [0, 1), independent of `order`, to choose a split."""
  return int.from_bytes(digest[8:], "big") / 2**64
