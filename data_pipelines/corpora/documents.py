# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A document, and the hash that orders it and chooses its split."""

import hashlib
from typing import NamedTuple


class Document(NamedTuple):
  """One text that sentences are drawn from in order.

  Attributes:
    name: where it came from, for messages ("FILE:LINE", "stdlib:asyncio").
    text: its characters, with line feeds as line ends.
  """

  name: str
  text: str


def plain(text: str) -> str:
  """The text as documents hold it, whatever wrote it.

  Old line ends become line feeds, and so do form feeds, which tokenizers drop
  and so glue words. A NUL is most often half of a UTF-16 character.
  """
  if "\r" in text:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
  return text.replace("\f", "\n").replace("\v", "\n").replace("\0", "")


def digest(text: str) -> bytes:
  """16 bytes that depend on the text alone.

  Not on its file or place: a corpus cut into other files makes the same
  store, and equal documents never stand on both sides of a split.
  """
  return hashlib.blake2b(text.encode(), digest_size=16).digest()


def order(digest: bytes) -> bytes:
  """Where the document stands among the shuffled documents."""
  return digest[:8]


def share(digest: bytes) -> float:
  """Number in [0, 1), independent of `order`, that decides the split."""
  return int.from_bytes(digest[8:], "big") / 2**64
