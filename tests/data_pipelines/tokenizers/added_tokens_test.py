# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of tokens that are matched before words are cut."""

import pytest

from data_pipelines.tokenizers.added_tokens import (
  AddedToken,
  AddedTokensError,
  all_tokens,
)
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from data_pipelines.tokenizers.vocabulary_extension import extend
from data_pipelines.tokenizers.wordpiece import WordPiece
from tests.testing.tokenizer_folders import CONFIG, TOKENS, write

WORDS = (*TOKENS, "a", "##a")


def test_a_reserved_id_that_was_given_a_meaning_is_used():
  tokens = [*WORDS, "[unused1]", "[unused2]"]
  given = AddedToken(len(WORDS), "[unused1]", normalized=False)
  ours = WordPiece(tokens, added=[given])
  assert ours.encode(["a[unused1]"])[0].tolist() == [WORDS.index("a"), given.id]
  assert given.id in ours.vocabulary().ordinary_W
  assert given.id + 1 not in ours.vocabulary().ordinary_W


def test_an_offset_has_none_of_the_spaces_around_a_token():
  given = AddedToken(len(WORDS), "[E1]", lstrip=True, rstrip=True)
  ours = WordPiece(WORDS, added=[given])
  (found,) = ours.encode_with_offsets(["a \ud800 [E1]  the"])
  assert found.ids_T.tolist() == [
    WORDS.index("a"),
    given.id,
    WORDS.index("the"),
  ]
  assert found.offsets_T2.tolist() == [[0, 1], [4, 8], [10, 13]]


def test_a_vocabulary_without_added_tokens_keeps_its_hash(tmp_path):
  folder = write(tmp_path / "t")
  plain = load_huggingface(folder)
  assert plain.added == ()
  assert "added_tokens_decoder" not in (folder / CONFIG).read_text()
  one = WordPiece(TOKENS, added=[AddedToken(len(TOKENS), "[E1]")])
  other = WordPiece(
    TOKENS, added=[AddedToken(len(TOKENS), "[E1]", special=True)]
  )
  assert len({plain.sha256, one.sha256, other.sha256}) == 3


def test_ids_continue_those_of_the_vocabulary():
  given = [AddedToken(3, "x"), AddedToken(1, "b"), AddedToken(2, "c")]
  assert all_tokens(["a", "b"], given, "t") == ["a", "b", "c", "x"]
  with pytest.raises(AddedTokensError, match="t: the added token 'c' has id 3"):
    all_tokens(["a", "b"], [AddedToken(3, "c")], "t")


def test_new_tokens_of_a_vocabulary_leave_added_tokens_their_ids():
  tokens = [*WORDS, "[unused1]", "[unused2]"]
  added = (
    AddedToken(len(WORDS), "[unused1]", special=True),
    AddedToken(len(tokens), "[E1]", special=True),
  )
  old = WordPiece(tokens, added=added)
  texts = ["aaaa aaaa"] * 9
  new = extend(old, texts, 1).tokenizer
  assert new.added == added
  assert new.tokens[len(WORDS)] == "[unused1]"
  assert new.tokens[-1] == "[E1]"
  assert len(new.encode(["aaaa[E1]"])[0]) < len(old.encode(["aaaa[E1]"])[0])
  with pytest.raises(ValueError, match=r"=2, but .* only its 1 \[unusedN\]"):
    extend(old, texts, 2)
