# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of all tokenizers: text to token ids and back."""

import abc
import functools
import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer as Backend

from bertjax.batch import Vocabulary
from data_pipelines.tokenizers import scripts
from data_pipelines.tokenizers.added_tokens import AddedToken
from data_pipelines.tokenizers.special_tokens import is_unused
from data_pipelines.tokenizers.template import Template

# Halves of a character, which a broken command line can contain.
SURROGATES = re.compile(r"[\ud800-\udfff]")


class EncodedText(NamedTuple):
  """The tokens of a text, and where they stand in it.

  Attributes:
    ids_T: int32, the tokens.
    offsets_T2: int64, the first character of each token, and the character
      after its last one; both are equal for a token that stands for none.
  """

  ids_T: np.ndarray
  offsets_T2: np.ndarray


class Tokenizer(abc.ABC):
  """Text to ids and back; [CLS] and so on are neither added nor recognized.

  Attributes:
    name: "wordpiece", "sentencepiece" or "byte_bpe".
    tokens: text of each token, by id.
    added: tokens that are matched in a text before it is cut into words.
    lowercase: whether case is folded before tokens are looked up.
    strip_accents: whether accents and other marks are removed before that.
    normalization: Unicode form that text gets first: "none", "nfc" or "nfkc".
    sha256: hash of everything that determines the ids.
    export_obstacle: why `save` writes no tokenizer.json; empty if it does.
    special_ids: ids of the special tokens: pad, unk, cls, sep, mask.
    pad_id, unk_id, cls_id, sep_id, mask_id: the same ids, one by one.
    template: the special tokens around texts; BERT's unless a subclass has
      others.
    space: what the `letters` of a token begin with where a space stands before
      the token.
    mask_takes_space: whether the space before a mask in a text is its own.
    own_class: class of transformers that reads only tokenizers of this class;
      empty if transformers has no such class.
  """

  name: str
  added: tuple[AddedToken, ...] = ()
  lowercase: bool
  strip_accents: bool = False
  normalization: str = "none"
  sha256: str
  export_obstacle: str = ""
  space: str = " "
  mask_takes_space: bool = False
  own_class: str = ""

  def __init__(
    self, tokens: Sequence[str], specials: Sequence[int], origin: str
  ) -> None:
    """Set the vocabulary.

    Args:
      tokens: text of each token, by id.
      specials: ids of the tokens in `SPECIALS`, in their order.
      origin: where the vocabulary comes from, for messages.

    Raises:
      ValueError: a token occurs twice.
    """
    self.tokens = list(tokens)
    self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = specials
    names = ("pad", "unk", "cls", "sep", "mask")
    self.special_ids = dict(zip(names, specials, strict=True))
    self.template = Template.of_bert(self.cls_id, self.sep_id)
    first: dict[str, int] = {}
    for id_, token in enumerate(self.tokens):
      if first.setdefault(token, id_) != id_:
        raise ValueError(
          f"{origin} has {token!r} twice, as ids {first[token]} and {id_}; "
          "give a vocabulary of distinct tokens"
        )

  @property
  def vocab_size(self) -> int:
    """Number of tokens, special tokens included."""
    return len(self.tokens)

  @abc.abstractmethod
  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated ids of all texts, and the length of each.

    Returns:
      int32 [sum of lengths], int64 [number of texts].
    """

  def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
    """Return the ids of each text as an int32 array, without special tokens."""
    ids, lengths = self.encode_flat(texts)
    return np.split(ids, np.cumsum(lengths)[:-1]) if len(lengths) else []

  def encode_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
    """Return the ids of each text, as `encode`, and their characters.

    It takes longer than `encode`.
    """
    kept = [SURROGATES.sub("", text) for text in texts]
    found = self._encode_with_offsets(kept)
    return [
      each if len(plain) == len(text) else _as_in(text, each)
      for text, plain, each in zip(texts, kept, found, strict=True)
    ]

  @abc.abstractmethod
  def _encode_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
    """Return what `encode_with_offsets` does, of texts without surrogates."""

  @abc.abstractmethod
  def make_backend(self) -> Backend:
    """Return the library's tokenizer without special and added tokens."""

  @abc.abstractmethod
  def decode(self, ids: Iterable[int]) -> str:
    """Return the text of `ids`; special tokens appear by their names."""

  @abc.abstractmethod
  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write the files that `tokenizers.load` and transformers read."""

  @abc.abstractmethod
  def continues(self, token: str) -> bool:
    """Return whether an ordinary token continues the word before it."""

  def after_space(self, text: str) -> str:
    """Return a text as it is encoded where a space stands before it.

    Most tokenizers cut a text as they do behind a space.
    """
    return text

  def letters(self, token: str) -> str:
    """Return the text of a token, maybe with marks of where words begin."""
    return token

  @classmethod
  def unmark(cls, letters: str) -> tuple[bool, str]:
    """Return whether a space stands before a token, and its text alone.

    Args:
      letters: what `letters` returns of the token.
    """
    return letters.startswith(cls.space), letters.removeprefix(cls.space)

  def is_special(self, id_: int) -> bool:
    """Return whether the token stands for no text."""
    return id_ in self._specials

  @functools.cached_property
  def _specials(self) -> frozenset[int]:
    added = (token.id for token in self.added if token.special)
    return self.template.ids.union(self.special_ids.values(), added)

  def words_version(self, token_counts: np.ndarray) -> int:
    """Return the version of `continues`, as far as it concerns a text.

    It is part of the identity of runs that mask whole words.

    Args:
      token_counts: how often each id occurs in the text: int [V].
    """
    del token_counts
    return 1

  def unspaced_share(self, token_counts: np.ndarray) -> float:
    """Return the share of tokens in scripts without spaces between words.

    Such text has no words that `continues` could tell, so that tokens a word
    say little about the vocabulary.

    Args:
      token_counts: how often each id occurs: int [V].
    """
    unspaced_V = np.array(
      [any(map(scripts.is_unspaced, self.letters(t))) for t in self.tokens]
    )
    return float(token_counts[unspaced_V].sum() / max(token_counts.sum(), 1))

  def vocabulary(self, token_counts: np.ndarray | None = None) -> Vocabulary:
    """Return the tables over the vocabulary that a train step needs.

    Args:
      token_counts: how often each id occurs in the training split: int [V].

    Raises:
      ValueError: `token_counts` is of another length than the vocabulary.
    """
    special_V = np.array([self.is_special(i) for i in range(self.vocab_size)])
    unused_V = np.array([is_unused(token) for token in self.tokens])
    unused_V[[token.id for token in self.added]] = False
    continues_V = np.array([self.continues(token) for token in self.tokens])
    return Vocabulary(
      pad_id=self.pad_id,
      unk_id=self.unk_id,
      cls_id=self.cls_id,
      sep_id=self.sep_id,
      mask_id=self.mask_id,
      special_V=special_V,
      continues_V=continues_V & ~special_V,
      ordinary_W=np.flatnonzero(~special_V & ~unused_V).astype(np.int32),
      log_unigram_V=self._log_unigram(token_counts),
    )

  def _log_unigram(self, counts_V: np.ndarray | None) -> np.ndarray | None:
    if counts_V is None:
      return None
    if len(counts_V) != self.vocab_size:
      raise ValueError(
        f"{len(counts_V)} token counts for a vocabulary of {self.vocab_size}; "
        "load the tokenizer of the same store"
      )
    smoothed_V = counts_V.astype(np.float64) + 1
    return np.log(smoothed_V / smoothed_V.sum()).astype(np.float32)


def trim_spaces(text: str, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
  """Return the characters of tokens without the white space around them.

  Args:
    text: the text.
    offsets: the first character of each token, and the one after its last.

  Returns:
    int64 [T, 2].
  """
  kept: list[tuple[int, int]] = []
  for start, stop in offsets:
    covered = text[start:stop]
    left = len(covered) - len(covered.lstrip())
    kept.append((start + left, start + left + len(covered.strip())))
  return np.asarray(kept, np.int64).reshape(-1, 2)


def _as_in(text: str, encoded: EncodedText) -> EncodedText:
  """Return offsets into a text instead of into its part without surrogates."""
  places_T = np.asarray(
    [place for place, c in enumerate(text) if not SURROGATES.match(c)]
    + [len(text)],
    np.int64,
  )
  start_T, stop_T = encoded.offsets_T2.T
  begin_T = places_T[start_T]
  end_T = np.where(stop_T > start_T, places_T[stop_T - 1] + 1, begin_T)
  return EncodedText(encoded.ids_T, np.stack([begin_T, end_T], axis=1))
