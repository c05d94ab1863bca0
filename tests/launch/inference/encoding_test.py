# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from bertjax.finetune.task import Head
from data_pipelines.tasks.features import encode_texts
from data_pipelines.tokenizers import tokenizers
from launch.inference.encoding import Texts, TextTokenizer, encoder_of
from tests.testing import small


def test_an_example_is_a_window(tmp_path):
  tokenizer = tokenizers.load(small.make_tokenizer(tmp_path / "tokenizer"))
  head = Head("t", ("no", "yes"), "cls", 8, pair=False)
  texts = ["the cod", "a", "the cod " * 9]
  encode = encoder_of("classification")
  found = encode(TextTokenizer(tokenizer), head, Texts(texts))
  wanted = encode_texts(tokenizer, texts, None, 8)
  for name, array in found.features.items():
    np.testing.assert_array_equal(array, wanted.features[name])
  assert found.encoded.cut == 1
  assert found.encoded.unknown == wanted.unknown
  windows = found.windows()
  assert windows.length_N.tolist() == [4, 3, 8]
  assert windows.owner_N.tolist() == [0, 1, 2]
  np.testing.assert_array_equal(
    windows["tokens_NS"], wanted.features["tokens_BS"]
  )
