# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers whose ids are those that the library `tokenizers` gives."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer as Backend

from bertjax.batch import Vocabulary
from data_pipelines.tokenizers.special_tokens import is_unused
from data_pipelines.tokenizers.tokenizer import (
  SURROGATES,
  EncodedText,
  Tokenizer,
  trim_spaces,
)


class LibraryTokenizer(Tokenizer):
  """Encodes with a tokenizer of the library, which a subclass makes.

  Its `_backend` takes no text for a special token, and knows added tokens.
  """

  _backend: Backend

  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated ids of all texts, and the length of each."""
    kept = [SURROGATES.sub("", text) for text in texts]
    found = self._backend.encode_batch_fast(kept, add_special_tokens=False)
    parts = [np.asarray(each.ids, np.int32) for each in found]
    lengths = np.asarray([*map(len, parts)], np.int64)
    return np.concatenate([np.zeros(0, np.int32), *parts]), lengths

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
