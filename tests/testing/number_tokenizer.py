# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A tokenizer whose token ids are the numbers in the text."""

import numpy as np

PAD, CLS, SEP = 3, 1, 2


class NumberTokenizer:
  """Encodes "10 11" as [10, 11]."""

  pad_id, cls_id, sep_id = PAD, CLS, SEP

  def encode(self, texts):
    return [np.asarray(text.split(), np.int32) for text in texts]
