# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""WordPiece and SentencePiece behind one small interface."""

import os
import pathlib
from collections.abc import Iterable

from data_pipelines.tokenizers.pieces import SPECIALS, Tokenizer
from data_pipelines.tokenizers.sentencepiece_model import (
  MODEL_FILE,
  load_sentencepiece,
  train_sentencepiece,
)
from data_pipelines.tokenizers.wordpiece import VOCAB_FILE, load_wordpiece
from data_pipelines.tokenizers.wordpiece_training import train_wordpiece

__all__ = [
  "KINDS",
  "SAMPLE_CHARACTERS",
  "SPECIALS",
  "Tokenizer",
  "load",
  "train",
]

_MODEL_TYPES = {"sentencepiece": "unigram", "sentencepiece_bpe": "bpe"}
KINDS = ("wordpiece", *_MODEL_TYPES)
# Of text, with which learning stays below 800 MB, the text itself included: a
# unigram model is learnt from no more of it, and more changes few pieces.
SAMPLE_CHARACTERS = {
  "wordpiece": 50_000_000,
  "sentencepiece": 25_000_000,
  "sentencepiece_bpe": 50_000_000,
}


def load(path: str | os.PathLike[str]) -> Tokenizer:
  """Read a tokenizer.

  Args:
    path: a vocab.txt, a .model of SentencePiece, or a folder that has one,
      also a store or a bundle, which keep theirs in `tokenizer/`.

  Raises:
    ValueError: there is none, or it lacks a special piece.
  """
  given = pathlib.Path(path)
  file = _vocabulary_file(given)
  if file is None:
    what = "holds no" if given.is_dir() else "is no"
    if not given.exists():
      what = "does not exist; give a folder with"
    raise ValueError(f"tokenizer {given} {what} {VOCAB_FILE} or {MODEL_FILE}")
  if file.suffix == ".model":
    return load_sentencepiece(file)
  return load_wordpiece(file)


def _vocabulary_file(path: pathlib.Path) -> pathlib.Path | None:
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
  """Learn a tokenizer; equal texts in an equal order give an equal one.

  Args:
    texts: what to learn from; read once.
    kind: one of `KINDS`.
    vocab_size: pieces wanted, special ones included. WordPiece may end with
      fewer, where no pair of pieces occurs twice any more.
    lowercase: whether it is to fold case.

  Raises:
    ValueError: an unknown kind, or a size that does not fit the text.
  """
  if kind == "wordpiece":
    return train_wordpiece(texts, vocab_size, lowercase=lowercase)
  if kind in _MODEL_TYPES:
    return train_sentencepiece(
      texts, vocab_size, model_type=_MODEL_TYPES[kind], lowercase=lowercase
    )
  raise ValueError(f"tokenizer={kind!r}; choose from {', '.join(KINDS)}")
