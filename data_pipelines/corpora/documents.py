# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A document, and the hash that decides its place and its split."""

import hashlib
from typing import NamedTuple

from data_pipelines.corpora.reading import ReadCounts


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
  words = " ".join(text.split())
  return hashlib.blake2b(words.encode(), digest_size=16).digest()


def order(digest: bytes) -> bytes:
  """Return the key by which documents are sorted to shuffle them."""
  return digest[:8]


def share(digest: bytes) -> float:
  """Return a number in [0, 1), independent of `order`, to choose a split."""
  return int.from_bytes(digest[8:], "big") / 2**64
