# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The stored type of token ids."""

import pytest

from data_pipelines.store.layout import token_dtype
from data_pipelines.store.store_writer import SplitWriter
from tests.testing import synthetic


@pytest.mark.parametrize(("vocab_size", "width"), [(1 << 16, 2), (65537, 4)])
def test_ids_take_two_bytes_where_the_vocabulary_allows(
  vocab_size, width, tmp_path
):
  assert token_dtype(vocab_size).itemsize == width
  writer = SplitWriter(tmp_path, "train", vocab_size)
  synthetic.add_document(writer, [[vocab_size - 1]])
  made = synthetic.finish_store(
    tmp_path, {"train": writer.finish()}, vocab_size
  )
  assert synthetic.read_block(made.split("train"), 0) == [vocab_size - 1]
