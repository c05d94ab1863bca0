# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Remember the ids of words, because text repeats its words."""

import array
import sys
from collections.abc import Sequence

from tokenizers import Tokenizer as Backend

MAX_CACHE = 160_000_000  # bytes of words and their ids


class WordCache(dict[str, bytes]):
  """Word → its ids as int32, filled on demand.

  Bytes are joined in a quarter of the time of tuples, and the collector of
  garbage does not visit them. `size` estimates the bytes in memory.
  """

  def __init__(self, backend: Backend) -> None:
    """Begin without words.

    Args:
      backend: a tokenizer of the library, which encodes each new word.
    """
    super().__init__()
    self._backend = backend
    self.clear()

  def __missing__(self, word: str) -> bytes:
    """Encode a word, and remember it."""
    ids = self[word] = self.encode(word)
    self.size += 100 + sys.getsizeof(word) + sys.getsizeof(ids)
    return ids

  def encode(self, word: str) -> bytes:
    """Return the ids of a word that is not known yet."""
    return as_bytes(self._backend.encode(word, add_special_tokens=False).ids)

  def clear(self) -> None:
    """Forget all words."""
    super().clear()
    self.size = 0

  def trim(self) -> None:
    """Forget all words if they take more than `MAX_CACHE`."""
    if self.size > MAX_CACHE:
      self.clear()


def as_bytes(ids: Sequence[int]) -> bytes:
  """Return ids as the bytes of int32."""
  return array.array("i", ids).tobytes()
