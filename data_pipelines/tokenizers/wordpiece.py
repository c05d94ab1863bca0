# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""WordPiece as BERT has it, through `tokenizers`, with words remembered.

The library normalises, cuts and matches one word at a time; text repeats its
words. So each distinct word goes through the library once, and the rest is a
dictionary: four times the tokens a second of its own batch encoding.
"""

import hashlib
import itertools
import json
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from data_pipelines.tokenizers.pieces import (
  CONFIG_FILE,
  SPECIALS,
  UNK,
  Tokenizer,
  find_specials,
  save_exchange,
)

VOCAB_FILE = "vocab.txt"
PREFIX = "##"
# Google's (tokenization.py, WordpieceTokenizer); the library's own is 100.
MAX_WORD = 200

# White space ends a word and each of these marks is one, whatever stands
# beside them: ASCII punctuation and what prose has most besides.
_MARKS = r"!-/:-@\[-`{-~¡§«¶·»¿\u2010-\u2027"
# Words of plain letters; marks; and runs with anything else in them, which
# only the library knows how to clean and cut.
WORD = re.compile(
  rf"[A-Za-z0-9]++(?![^ \t\r\n{_MARKS}])|[{_MARKS}\n]|[^ \t\r\n{_MARKS}]+"
)
_MAX_REMEMBERED = 160_000_000  # bytes of words and their ids
_CHARACTERS = 1 << 20  # of text whose words are held at a time
_BREAK = -1  # between two texts


class WordPiece(Tokenizer):
  """Greedy longest-match pieces of words, as google-research/bert cuts them.

  The ids are those of its tokenization.py, but for four things that the
  library does otherwise, as everything does that is built on it: a capital
  sigma at the end of a word becomes σ and not ς; characters for private use
  (U+F0B7, a bullet in many a PDF) are left out, where theirs make their word
  unknown; the ideographs U+2B820 to U+2B91F are no words of their own; and
  marks that came after Unicode 8 are not known as such.
  """

  name = "wordpiece"

  def __init__(
    self,
    pieces: Sequence[str],
    *,
    lowercase: bool = True,
    origin: str = "the vocabulary",
  ) -> None:
    """Take the lines of a vocabulary.

    Raises:
      ValueError: a special piece that is missing, a piece twice.
    """
    specials = find_specials(pieces, [[name] for name in SPECIALS], origin)
    super().__init__(pieces, specials, origin)
    self.lowercase = lowercase
    self._file = "".join(f"{piece}\n" for piece in self.pieces).encode()
    case = "uncased" if lowercase else "cased"
    self.sha256 = hashlib.sha256(
      f"wordpiece {case}\n".encode() + self._file
    ).hexdigest()
    self._open()

  def _open(self) -> None:
    self._backend = self.make_backend()
    self._words = _Words(self._backend)

  def make_backend(self) -> Backend:
    """The library's own tokenizer, that this one gives the ids of."""
    vocabulary = {piece: id_ for id_, piece in enumerate(self.pieces)}
    return with_rules(
      models.WordPiece(
        vocabulary, unk_token=UNK, max_input_chars_per_word=MAX_WORD
      ),
      lowercase=self.lowercase,
    )

  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids of all texts in a row (int32), and each text's number (int64)."""
    parts = [self._encode_joined(part) for part in _portions(texts)]
    if not parts:
      return np.zeros(0, np.int32), np.zeros(0, np.int64)
    marked = np.concatenate(parts)
    breaks = np.flatnonzero(marked == _BREAK)
    lengths = np.diff(breaks, prepend=-1) - 1
    return marked[marked != _BREAK], lengths

  def _encode_joined(self, texts: Sequence[str]) -> np.ndarray:
    joined = "\n".join(texts) + "\n"
    if joined.count("\n") != len(texts):
      joined = "".join(text.replace("\n", " ") + "\n" for text in texts)
    if self._words.size > _MAX_REMEMBERED:
      self._words.clear()
    ids = map(self._words.__getitem__, WORD.findall(joined))
    return np.fromiter(itertools.chain.from_iterable(ids), np.int32)

  def decode(self, ids: Iterable[int]) -> str:
    """Text of `ids`; special pieces are written as they are called."""
    return self._backend.decode(
      [int(id_) for id_ in ids], skip_special_tokens=False
    )

  def continues(self, piece: str) -> bool:
    """Whether a piece goes on with the word before it."""
    return piece.startswith(PREFIX) and piece != PREFIX

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write vocab.txt, tokenizer.json and tokenizer_config.json."""
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / VOCAB_FILE).write_bytes(self._file)
    save_exchange(target, self, self.make_backend())

  def __reduce__(self) -> tuple[object, ...]:
    return _rebuild, (self.pieces, self.lowercase)


def _rebuild(pieces: list[str], lowercase: bool) -> WordPiece:
  return WordPiece(pieces, lowercase=lowercase)


class _Words(dict[str, tuple[int, ...]]):
  """Ids of every word met so far; `size` is about the bytes that they take."""

  def __init__(self, backend: Backend) -> None:
    super().__init__()
    self._backend = backend
    self._ids = list(range(backend.get_vocab_size()))
    self.clear()

  def __missing__(self, word: str) -> tuple[int, ...]:
    # Half a surrogate pair, as in a broken command line, is no character.
    plain = word.encode(errors="ignore").decode()
    found = self._backend.encode(plain, add_special_tokens=False).ids
    # One object for each id, and not for each time that it occurs.
    ids = tuple(map(self._ids.__getitem__, found))
    self[word] = ids
    self.size += 150 + sys.getsizeof(word) + 8 * len(ids)
    return ids

  def clear(self) -> None:
    super().clear()
    self["\n"] = (_BREAK,)
    self.size = 0


def with_rules(model: models.Model, *, lowercase: bool) -> Backend:
  """A model behind BERT's rules for cleaning text and finding words."""
  backend = Backend(model)
  # Accents go where case goes, as in Google's BasicTokenizer.
  backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
  backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  backend.decoder = decoders.WordPiece(prefix=PREFIX)
  backend.encode_special_tokens = True  # "[MASK]" in a text is five letters
  return backend


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
  """Runs of texts, so that a huge document's words are not held at once."""
  start = size = 0
  for stop, text in enumerate(texts):
    if size > _CHARACTERS:
      yield texts[start:stop]
      start, size = stop, 0
    size += len(text)
  if start < len(texts):
    yield texts[start:]


def load_wordpiece(path: pathlib.Path) -> WordPiece:
  """Read a vocab.txt, and beside it whether case is folded.

  Raises:
    ValueError: no UTF-8, an empty line, a special piece missing, one twice.
  """
  pieces = read_pieces(path)
  return WordPiece(
    pieces, lowercase=_folds_case(path, pieces), origin=str(path)
  )


def read_pieces(path: pathlib.Path) -> list[str]:
  """Read the lines of a vocab.txt.

  Raises:
    ValueError: no UTF-8, or an empty line.
  """
  try:
    lines = path.read_bytes().decode().removesuffix("\n").split("\n")
  except UnicodeDecodeError:
    raise ValueError(f"{path} is not UTF-8; give a vocab.txt") from None
  # Not splitlines: some vocabularies hold separators as pieces.
  pieces = [line.removesuffix("\r") for line in lines]
  if "" in pieces:
    raise ValueError(
      f"{path}:{pieces.index('') + 1}: no piece; give one on every line"
    )
  return pieces


def _folds_case(path: pathlib.Path, pieces: Sequence[str]) -> bool:
  config = path.with_name(CONFIG_FILE)
  if config.is_file():
    try:
      known = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
      raise ValueError(f"{config} is not JSON; mend or remove it") from None
    if isinstance(known, dict) and isinstance(known.get("do_lower_case"), bool):
      return known["do_lower_case"]
  return looks_lowercase(pieces)


def looks_lowercase(pieces: Sequence[str]) -> bool:
  """Whether no piece has a capital, but for [SPECIAL] ones."""
  return not any(p != p.lower() for p in pieces if not p.startswith("["))
