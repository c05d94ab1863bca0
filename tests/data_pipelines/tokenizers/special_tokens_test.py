# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How special tokens are found in a vocabulary."""

import pytest

from data_pipelines.tokenizers.special_tokens import find_special_ids, is_unused


def test_the_first_name_that_is_there_is_the_token():
  tokens = ["<s>", "[CLS]", "<mask>"]
  names = [["[CLS]", "<s>"], ["[MASK]", "<mask>"]]
  assert find_special_ids(tokens, names, "x") == [1, 2]
  with pytest.raises(ValueError, match=r"^x has no \[SEP\] or </s>; a voc"):
    find_special_ids(tokens, [["[SEP]", "</s>"]], "x")


def test_only_reserved_ids_are_unused():
  tokens = [
    "[unused0]",
    "[unused99]",
    "[unused]",
    "unused1",
    "x[unused1]",
    "[unused1]x",
  ]
  assert list(filter(is_unused, tokens)) == tokens[:2]
