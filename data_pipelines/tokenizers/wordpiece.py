# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's WordPiece through Hugging Face `tokenizers`, with a cache of words.

The library normalizes, splits and matches one word at a time, and text repeats
its words. So each distinct word goes through the library once, and is looked
up in a dictionary afterwards (`benchmarks/prepare.py` prints how many tokens a
second that gives).
"""

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer as Backend
from tokenizers import models

from bertjax.files import write_bytes
from data_pipelines.tokenizers.added_tokens import (
  AddedToken,
  Matcher,
  all_tokens,
)
from data_pipelines.tokenizers.huggingface_export import save_huggingface
from data_pipelines.tokenizers.huggingface_names import LIMIT
from data_pipelines.tokenizers.special_tokens import (
  SPECIALS,
  UNK,
  find_special_ids,
)
from data_pipelines.tokenizers.tokenizer import (
  SURROGATES,
  EncodedText,
  Tokenizer,
  trim_spaces,
)
from data_pipelines.tokenizers.word_cache import WordCache, as_bytes
from data_pipelines.tokenizers.wordpiece_rules import PREFIX, Rules

VOCAB_FILE = "vocab.txt"

_MAX_CHARACTERS = 1 << 20  # characters of text that are encoded in one go
_BREAK = -1  # marks the end of a text among the ids


class WordPiece(Tokenizer):
  """Greedy longest-match tokens of words, as in google-research/bert.

  The ids equal those of its tokenization.py, with four exceptions that come
  from the library: a capital sigma at the end of a word becomes σ, not ς;
  private-use characters (U+F0B7, a bullet in many PDFs) are dropped, while
  tokenization.py makes their word unknown; the ideographs U+2B820 to U+2B91F
  are not words of their own; and punctuation that is newer than Unicode 8 is
  not treated as punctuation. Other `rules` give the ids of the library's
  BertNormalizer. Texts with added tokens are the library's altogether.

  Attributes:
    rules: how text is cleaned and cut.
    words: the vocabulary, which words are cut into. `tokens` has the tokens
      that were added to it as well.
  """

  name = "wordpiece"
  rules: Rules
  words: list[str]

  def __init__(
    self,
    tokens: Sequence[str],
    *,
    lowercase: bool = True,
    rules: Rules | None = None,
    added: Sequence[AddedToken] = (),
    origin: str = "the vocabulary",
  ) -> None:
    """Make a tokenizer from the lines of a vocab.txt.

    Args:
      tokens: text of each token, by id.
      lowercase: whether to fold case.
      rules: how text is cleaned and cut, if not as google-research/bert does;
        then `lowercase` does not count.
      added: tokens that are matched before words are cut: each is in the
        vocabulary, or its id continues those of the vocabulary.
      origin: where the vocabulary comes from, for messages.

    Raises:
      ValueError: a special token is missing, a token occurs twice, or the ids
        of added tokens are others (an AddedTokensError).
    """
    specials = find_special_ids(tokens, [[name] for name in SPECIALS], origin)
    super().__init__(all_tokens(tokens, added, origin), specials, origin)
    self.words = list(tokens)
    self._beside = frozenset(self.tokens[len(tokens) :])
    self.added = tuple(sorted(added, key=lambda token: token.id))
    self.rules = rules or Rules(lowercase)
    self.lowercase = self.rules.lowercase
    self.strip_accents = bool(self.rules.strip_accents)
    self.normalization = self.rules.normalization
    self._find_words = self.rules.words().findall
    self._file = "".join(f"{token}\n" for token in self.words).encode()
    self.sha256 = hashlib.sha256(
      f"wordpiece {self.rules}\n".encode() + self._file + self._added_bytes()
    ).hexdigest()
    self._backend = self.make_backend()
    self._words = _Words(self._backend, self.rules)
    self._matcher = None
    if self.added:
      self._matcher = Matcher(self.make_backend(), self.added, origin)

  def _added_bytes(self) -> bytes:
    if not self.added:
      return b""  # as before there were any
    return json.dumps([[t.id, t.fields()] for t in self.added]).encode()

  def make_backend(self) -> Backend:
    """Return the library's tokenizer, which knows no added tokens yet."""
    vocabulary = {token: id_ for id_, token in enumerate(self.words)}
    return self.rules.make_backend(
      models.WordPiece(
        vocabulary, unk_token=UNK, max_input_chars_per_word=self.rules.max_word
      )
    )

  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated ids of all texts, and the length of each."""
    if self._matcher is None:
      return self._encode_plain(texts)
    found = [n for n, text in enumerate(texts) if self._matcher.occurs(text)]
    if not found:
      return self._encode_plain(texts)
    kept = [SURROGATES.sub("", texts[number]) for number in found]
    whole = dict(zip(found, self._matcher.encode(kept), strict=True))
    ids, lengths = self._encode_plain(
      ["" if number in whole else text for number, text in enumerate(texts)]
    )
    parts = np.split(ids, np.cumsum(lengths)[:-1])
    for number, encoding in whole.items():
      parts[number] = np.asarray(encoding.ids, np.int32)
    return np.concatenate(parts), np.asarray([*map(len, parts)], np.int64)

  def _encode_plain(
    self, texts: Sequence[str]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Return what `encode_flat` does, of texts without added tokens."""
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
    self._words.trim()
    ids = map(self._words.__getitem__, self._find_words(joined))
    return np.frombuffer(b"".join(ids), np.int32)

  def _encode_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
    if self._matcher is not None:
      found = self._matcher.encode(texts)
    else:
      found = self._backend.encode_batch(list(texts), add_special_tokens=False)
    return [
      EncodedText(
        np.asarray(each.ids, np.int32),
        # An added token may take spaces with it.
        trim_spaces(text, each.offsets) if self.added else _pairs(each.offsets),
      )
      for text, each in zip(texts, found, strict=True)
    ]

  def decode(self, ids: Iterable[int]) -> str:
    """Return the text of `ids`; special tokens appear by their names."""
    numbers = [int(id_) for id_ in ids]
    if self._matcher is not None:
      return self._matcher.decode(numbers)
    return self._backend.decode(numbers, skip_special_tokens=False)

  def continues(self, token: str) -> bool:
    """Return whether a token continues the word before it."""
    if token in self._beside:
      return False
    return not self.unmark(token)[0]

  @classmethod
  def unmark(cls, letters: str) -> tuple[bool, str]:
    """Return what `Tokenizer.unmark` does: the inside of words is marked."""
    inside = letters.startswith(PREFIX) and letters != PREFIX
    return not inside, letters.removeprefix(PREFIX) if inside else letters

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write vocab.txt, tokenizer.json and tokenizer_config.json."""
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    write_bytes(target / VOCAB_FILE, self._file)
    # A tokenizer_config.json that names no limit has that of transformers.
    more = {**self.rules.unusual(), LIMIT: self.rules.max_word}
    save_huggingface(target, self, self.make_backend(), more)

  def __reduce__(self) -> tuple[object, ...]:
    make = functools.partial(WordPiece, rules=self.rules, added=self.added)
    return make, (self.words,)


def _pairs(offsets: Sequence[tuple[int, int]]) -> np.ndarray:
  return np.asarray(offsets, np.int64).reshape(-1, 2)


class _Words(WordCache):
  """Words of BERT, half of which need no search.

  A line break among them marks the end of a text.
  """

  def __init__(self, backend: Backend, rules: Rules) -> None:
    self._lowercase = rules.lowercase
    self._max_word = rules.max_word
    super().__init__(backend)

  def encode(self, word: str) -> bytes:
    """Return the ids of a word that is not known yet."""
    if word.isascii():
      # Half of the words of a text are known in lower case, or one token.
      if self._lowercase and (lower := word.lower()) != word:
        return self[lower]
      if word.isalnum() and len(word) <= self._max_word:
        id_ = self._backend.token_to_id(word)
        if id_ is not None:
          return as_bytes([id_])
    # Drops lone surrogates, which a broken command line can contain.
    return super().encode(word.encode(errors="ignore").decode())

  def clear(self) -> None:
    """Forget all words but the end of a text."""
    super().clear()
    self["\n"] = as_bytes([_BREAK])


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
  """Yield runs of texts of bounded length, to bound memory."""
  start = size = 0
  for stop, text in enumerate(texts):
    if size > _MAX_CHARACTERS:
      yield texts[start:stop]
      start, size = stop, 0
    size += len(text)
  if start < len(texts):
    yield texts[start:]


def read_vocab(path: pathlib.Path) -> list[str]:
  """Read the lines of a vocab.txt.

  Raises:
    ValueError: the file is not UTF-8 or has an empty line.
  """
  try:
    lines = path.read_bytes().decode().removesuffix("\n").split("\n")
  except UnicodeDecodeError:
    raise ValueError(f"{path} is not UTF-8; give a vocab.txt") from None
  # Not splitlines: in some vocabularies Unicode line separators are tokens.
  tokens = [line.removesuffix("\r") for line in lines]
  if "" in tokens:
    raise ValueError(
      f"{path}:{tokens.index('') + 1}: the line is empty; put one token on "
      "every line"
    )
  return tokens


def looks_lowercase(tokens: Sequence[str]) -> bool:
  """Return whether no token but the [SPECIAL] ones has a capital letter."""
  return not any(t != t.lower() for t in tokens if not t.startswith("["))
