# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A vocabulary for plans, which read no text. No JAX here."""

import numpy as np

from bertjax.batch import Vocabulary

TOKENS = 30_522  # size of bert-base-uncased's vocabulary
_SPECIALS = 5


def make_vocabulary(num_tokens: int = TOKENS) -> Vocabulary:
  """Return a vocabulary that starts with the special tokens."""
  return Vocabulary(
    pad_id=0,
    unk_id=1,
    cls_id=2,
    sep_id=3,
    mask_id=4,
    special_V=np.arange(num_tokens) < _SPECIALS,
    continues_V=np.zeros(num_tokens, bool),
    ordinary_W=np.arange(_SPECIALS, num_tokens, dtype=np.int32),
    log_unigram_V=np.full(num_tokens, -np.log(num_tokens), np.float32),
  )
