# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tokenizers.huggingface_files import (
  list_tokens,
  read_contents,
  read_object,
)


def test_a_file_that_is_not_there_says_nothing(tmp_path):
  assert read_object(tmp_path / "none.json") == {}
  assert not any(read_contents(tmp_path).values())


@pytest.mark.parametrize("text", ["[1]", "{", "\xff"])
def test_another_value_is_refused(text, tmp_path):
  (tmp_path / "tokenizer.json").write_bytes(text.encode("latin-1"))
  with pytest.raises(ValueError, match="is not a JSON object; correct or"):
    read_contents(tmp_path)


def test_tokens_are_listed_by_id():
  assert list_tokens({"b": 1, "a": 0}, "x") == ["a", "b"]
  for ids in ({"a": 1}, {"a": 0, "b": 0}, {"a": "0"}, {"a": True}, None):
    with pytest.raises(ValueError, match="x: its tokens are not numbered"):
      list_tokens(ids, "x")
