# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A tokenizer whose token ids are the numbers in the text."""

import numpy as np

from bertjax.batch import Vocabulary
from data_pipelines.tokenizers.template import Template

PAD, CLS, SEP = 3, 1, 2
UNK, MASK = 4, 5
# Numbers from here on continue a word.
CONTINUES = 90


class NumberTokenizer:
  """Encodes "10 11" as [10, 11]."""

  pad_id, template = PAD, Template.of_bert(CLS, SEP)

  def encode(self, texts):
    return [np.asarray(text.split(), np.int32) for text in texts]

  def encode_with_offsets(self, texts):
    raise NotImplementedError

  def after_space(self, text):
    return text

  def vocabulary(self):
    ids_V = np.arange(100)
    return Vocabulary(
      PAD, UNK, CLS, SEP, MASK, ids_V < 6, ids_V >= CONTINUES, ids_V[6:]
    )
