# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers whose ids are those that the library `tokenizers` gives."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer as Backend

from bertjax.batch import Vocabulary
from data_pipelines.tokenizers.added_tokens import add_tokens
from data_pipelines.tokenizers.special_tokens import is_unused
from data_pipelines.tokenizers.tokenizer import (
  SURROGATES,
  EncodedText,
  Tokenizer,
  trim_spaces,
)
from data_pipelines.tokenizers.word_cache import WordCache, as_bytes


class LibraryTokenizer(Tokenizer):
  """Encodes with a tokenizer of the library, which a subclass makes.

  Attributes:
    words: ids of words that were encoded before.
  """

  _backend: Backend

  def _use(self, backend: Backend) -> None:
    """Set the tokenizer that encodes, which gets the added tokens.

    It takes no text for a special token.
    """
    add_tokens(backend, self.added)
    self._backend = backend
    self.words = WordCache(backend)

  def _split(self, text: str) -> list[str] | None:
    """Return parts of a text that have the ids of the text one by one.

    None where the text has to be encoded as a whole, as some texts are in all
    tokenizers, and all are unless a subclass says otherwise.
    """
    del text
    return None

  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated ids of all texts, and the length of each."""
    kept = [SURROGATES.sub("", text) for text in texts]
    self.words.trim()
    parts, whole = list[bytes](), list[int]()
    for number, text in enumerate(kept):
      words = self._split(text)
      parts.append(b"".join(map(self.words.__getitem__, words or ())))
      if words is None:
        whole.append(number)
    if whole:
      found = self._backend.encode_batch_fast(
        [kept[number] for number in whole], add_special_tokens=False
      )
      for number, each in zip(whole, found, strict=True):
        parts[number] = as_bytes(each.ids)
    flat = np.frombuffer(bytearray().join(parts), np.int32)
    return flat, np.asarray([len(part) // 4 for part in parts], np.int64)

  def _encode_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
    """Return ids and offsets; all tokens of a character have its offset."""
    found = self._backend.encode_batch(list(texts), add_special_tokens=False)
    return [
      EncodedText(
        np.asarray(each.ids, np.int32), trim_spaces(text, each.offsets)
      )
      for text, each in zip(texts, found, strict=True)
    ]

  def vocabulary(self, token_counts: np.ndarray | None = None) -> Vocabulary:
    """Return tables; tokens that only reserve an id are added ones here."""
    found = super().vocabulary(token_counts)
    unused = [id_ for id_, token in enumerate(self.tokens) if is_unused(token)]
    ordinary_W = np.setdiff1d(found.ordinary_W, unused).astype(np.int32)
    return dataclasses.replace(found, ordinary_W=ordinary_W)
