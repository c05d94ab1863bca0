# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A file that is not what its name says is named, with what to give."""

import json

import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.file_kinds import check_content, check_file
from tests.testing.tokenizer_folders import FAST, TOKENS, write

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n"


@pytest.mark.parametrize(
  "name",
  [
    *("vocab.txt", "vocab.json", FAST, "spiece.model"),
    *("sentencepiece.bpe.model", "other.txt"),
  ],
)
def test_a_pointer_is_fetched_first(name, tmp_path):
  file = tmp_path / name
  file.write_text(POINTER)
  with pytest.raises(ValueError, match=f"{name} is a pointer of Git LFS"):
    tokenizers.load(file)


@pytest.mark.parametrize(
  ("name", "text", "message"),
  [
    ("bpe.txt", "#version: 0.2\na b\n", "holds the merges of a BPE tokenizer"),
    ("vocab.txt", '{"[PAD]": 0}', "vocab.txt holds JSON, and a vocab.txt has"),
    ("vocab.json", '{"model": {}}', f"whole tokenizer; name it {FAST}"),
    (FAST, '{"[PAD]": 0, "a": 1}', f"{FAST} has no model; give the {FAST}"),
    (FAST, "[PAD]\n[UNK]\n", "is not a JSON object; correct or remove it"),
    (
      "spiece.model",
      "[PAD]\n",
      "is not a SentencePiece model; give a spiece.model",
    ),
  ],
)
def test_another_kind_of_file_is_named(name, text, message, tmp_path):
  file = tmp_path / name
  file.write_text(text)
  with pytest.raises(ValueError, match=message):
    tokenizers.load(file)


def test_what_a_name_says_is_taken(tmp_path):
  folder = write(tmp_path / "t")
  for name in ("vocab.txt", FAST):
    check_file(folder / name)
  check_content(folder / FAST, json.loads((folder / FAST).read_text()))
  # A token may look like the beginning of something else.
  (folder / FAST).unlink()
  (folder / "vocab.txt").write_text("\n".join(["{", *TOKENS]) + "\n")
  assert tokenizers.load(folder).tokens[0] == "{"
