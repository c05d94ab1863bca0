# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers whose ids are those that the library `tokenizers` gives."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer as Backend

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
