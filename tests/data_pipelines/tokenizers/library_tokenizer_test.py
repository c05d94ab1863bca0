# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One way to encode with the library, whatever a tokenizer is made of."""

import numpy as np
import pytest

from data_pipelines.tokenizers import kinds
from data_pipelines.tokenizers.library_tokenizer import LibraryTokenizer
from tests.testing.byte_texts import ANY


@pytest.fixture(params=[*kinds.BYTE_LEVEL, "albert"])
def tokenizer(request, learned):
  return learned[request.param, True]


def test_places_have_the_ids_of_texts(tokenizer):
  assert isinstance(tokenizer, LibraryTokenizer)
  flat, lengths = tokenizer.encode_flat(ANY)
  found = tokenizer.encode_with_offsets(ANY)
  np.testing.assert_array_equal(flat, np.concatenate([e.ids_T for e in found]))
  assert lengths.tolist() == [len(each.ids_T) for each in found]
  for text, each in zip(ANY, found, strict=True):
    for start, stop in each.offsets_T2:
      assert 0 <= start <= stop <= len(text)
      assert text[start:stop] == text[start:stop].strip()


def test_no_texts_have_no_ids(tokenizer):
  flat, lengths = tokenizer.encode_flat([])
  assert (flat.dtype, flat.size, lengths.size) == (np.int32, 0, 0)
