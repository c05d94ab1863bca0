# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Load a tokenizer, or learn one of the known kinds."""

import os
import pathlib
from collections.abc import Iterable

from data_pipelines.tokenizers.sentencepiece_model import (
  MODEL_FILE,
  load_sentencepiece,
  train_sentencepiece,
)
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.wordpiece import VOCAB_FILE, load_wordpiece
from data_pipelines.tokenizers.wordpiece_training import train_wordpiece

_MODEL_TYPES = {"sentencepiece": "unigram", "sentencepiece_bpe": "bpe"}
KINDS = ("wordpiece", *_MODEL_TYPES)
# Characters of text to learn from, which keep memory below 800 MB, the text
# included. More text changes few tokens.
SAMPLE_CHARACTERS = {
  "wordpiece": 50_000_000,
  "sentencepiece": 25_000_000,
  "sentencepiece_bpe": 50_000_000,
}


def load(path: str | os.PathLike[str]) -> Tokenizer:
  """Read a tokenizer.

  Args:
    path: a vocab.txt, a .model file of SentencePiece, a folder that has one,
      or a store or a bundle, which have a folder `tokenizer`.

  Raises:
    ValueError: no tokenizer is found, or it lacks a special token.
  """
  given = pathlib.Path(path).expanduser()
  file = find_vocabulary(given)
  if file is None:
    what = "holds no" if given.is_dir() else "is no"
    if not given.exists():
      what = "does not exist; give a folder with"
    raise ValueError(f"tokenizer {given} {what} {VOCAB_FILE} or {MODEL_FILE}")
  if file.suffix == ".model":
    return load_sentencepiece(file)
  return load_wordpiece(file)


def find_vocabulary(path: pathlib.Path) -> pathlib.Path | None:
  """Return the file that `load` reads for a path; None if there is none."""
  if path.is_file():
    return path if path.suffix in (".txt", ".model") else None
  for folder in (path, path / "tokenizer"):
    for name in (VOCAB_FILE, MODEL_FILE):
      if (folder / name).is_file():
        return folder / name
  return None


def train(
  texts: Iterable[str], kind: str, vocab_size: int, *, lowercase: bool = True
) -> Tokenizer:
  """Learn a tokenizer; equal texts in an equal order give an equal tokenizer.

  Args:
    texts: documents to learn from; read once.
    kind: one of `KINDS`.
    vocab_size: number of tokens, special tokens included. A WordPiece
      vocabulary is smaller if no pair of tokens occurs twice any more.
    lowercase: whether to fold case.

  Raises:
    ValueError: an unknown kind, or a `vocab_size` that does not fit the text.
  """
  if kind == "wordpiece":
    return train_wordpiece(texts, vocab_size, lowercase=lowercase)
  if kind in _MODEL_TYPES:
    return train_sentencepiece(
      texts, vocab_size, model_type=_MODEL_TYPES[kind], lowercase=lowercase
    )
  raise ValueError(f"tokenizer={kind!r}; choose from {', '.join(KINDS)}")
