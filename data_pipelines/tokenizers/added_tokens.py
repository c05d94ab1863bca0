# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens that are matched in a text before it is cut into words.

Users of transformers add them to a vocabulary, as "[E1]" or "<user>". What a
match is, is the library's to say: a text that may have one goes through it as
a whole, so that ids equal those of transformers by construction.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

import tokenizers
from tokenizers import Tokenizer as Backend


class AddedTokensError(ValueError):
  """Added tokens cannot be matched as transformers matches them."""


@dataclasses.dataclass(frozen=True)
class AddedToken:
  """A token beside a vocabulary, or in it, with the fields of tokenizer.json.

  Attributes:
    id: its id.
    content: its text.
    special: whether it stands for no text: it is never masked.
    normalized: whether it is matched in the text as it is after cleaning, such
      as in lower case, and not as it was given.
    lstrip, rstrip: whether white space before or after it belongs to it.
    single_word: whether it is matched only where no letter, digit or
      underscore stands beside it.
  """

  id: int
  content: str
  special: bool = False
  normalized: bool = True
  lstrip: bool = False
  rstrip: bool = False
  single_word: bool = False

  def fields(self) -> dict[str, str | bool]:
    """Return all fields but the id, as JSON files have them."""
    values = dataclasses.asdict(self)
    del values["id"]
    return values

  def for_library(self) -> tokenizers.AddedToken:
    """Return the token as the library has it, which numbers it itself."""
    return tokenizers.AddedToken(
      self.content,
      single_word=self.single_word,
      lstrip=self.lstrip,
      rstrip=self.rstrip,
      normalized=self.normalized,
      special=self.special,
    )


def add_tokens(backend: Backend, added: Iterable[AddedToken]) -> None:
  """Add tokens to a tokenizer of the library, which numbers them itself."""
  for token in sorted(added, key=lambda token: token.id):
    theirs = token.for_library()
    if token.special:
      backend.add_special_tokens([theirs])
    else:
      backend.add_tokens([theirs])
    assert backend.token_to_id(token.content) == token.id, token


def all_tokens(
  tokens: Sequence[str], added: Sequence[AddedToken], origin: str
) -> list[str]:
  """Return the tokens of a vocabulary and those beside it, by id.

  Args:
    tokens: the vocabulary.
    added: tokens that are in it, or continue its ids.
    origin: where they come from, for messages.

  Raises:
    AddedTokensError: a token is empty or named twice, has another id than its
      vocabulary says, or leaves a gap between ids.
  """
  ids = {token: id_ for id_, token in enumerate(tokens)}
  found, seen = list(tokens), set[str]()
  for token in sorted(added, key=lambda token: token.id):
    expected = ids.get(token.content, len(found))
    if not token.content or token.content in seen or token.id != expected:
      what = "is empty" if not token.content else f"has id {token.id}"
      raise AddedTokensError(
        f"{origin}: the added token {token.content!r} {what}, and tokenizers "
        f"would give it id {expected}; number the added tokens behind the "
        f"vocabulary, without a gap or a name twice"
      )
    seen.add(token.content)
    if expected == len(found):
      found.append(token.content)
  return found


class Matcher:
  """Encodes texts that have added tokens."""

  def __init__(
    self, backend: Backend, added: Sequence[AddedToken], origin: str
  ) -> None:
    """Add the tokens to a tokenizer of the library.

    Args:
      backend: a tokenizer without them, which is changed.
      added: the tokens.
      origin: where they come from, for messages.

    Raises:
      AddedTokensError: nothing is left of a token when it is cleaned.
    """
    add_tokens(backend, added)
    backend.encode_special_tokens = False
    self._backend = backend
    self._normalizer = backend.normalizer
    raw = [token.content for token in added if not token.normalized]
    cleaned = [self._clean(t.content) for t in added if t.normalized]
    if not all(cleaned):
      raise AddedTokensError(
        f"{origin}: an added token is empty when it is cleaned; remove it"
      )
    self._raw, self._cleaned = any_of(raw), any_of(cleaned)

  def _clean(self, text: str) -> str:
    assert self._normalizer is not None
    return self._normalizer.normalize_str(text)

  def encode(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
    """Encode texts without surrogates, as transformers does."""
    return self._backend.encode_batch(list(texts), add_special_tokens=False)

  def decode(self, ids: Sequence[int]) -> str:
    """Return the text of ids; special tokens appear by their names."""
    return self._backend.decode(list(ids), skip_special_tokens=False)

  def occurs(self, text: str) -> bool:
    """Return whether a text may have an added token."""
    if self._raw and self._raw.search(text):
      return True
    return bool(self._cleaned and self._cleaned.search(self._clean(text)))


def any_of(texts: Sequence[str]) -> re.Pattern[str] | None:
  """Return a pattern that finds any of some texts; None if there are none."""
  return re.compile("|".join(map(re.escape, texts))) if texts else None
