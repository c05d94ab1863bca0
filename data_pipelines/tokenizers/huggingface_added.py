# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read the tokens that were added to a vocabulary, from all files that say so.

tokenizer.json and `added_tokens_decoder` of tokenizer_config.json describe a
token. added_tokens.json, of transformers before 4.34, gives ids, and the lists
of special tokens give names: what they say counts for tokens that no file
describes.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from data_pipelines.tokenizers.added_tokens import AddedToken, AddedTokensError
from data_pipelines.tokenizers.huggingface_keys import LISTS, SPLIT
from data_pipelines.tokenizers.huggingface_names import (
  ADDED_FILE,
  CONFIG_FILE,
  TOKENIZER_FILE,
)

_FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")


def read_added(
  files: Mapping[str, Mapping[str, Any]],
  tokens: Sequence[str],
  specials: Collection[str],
  origin: str,
) -> list[AddedToken]:
  """Return the tokens that were added to a vocabulary.

  Args:
    files: name of a file → its content, empty if there is none.
    tokens: the vocabulary.
    specials: special tokens of the vocabulary, which do not count.
    origin: the folder, for messages.

  Raises:
    AddedTokensError: two files contradict each other, or special tokens are
      to be split.
  """
  found: dict[str, AddedToken] = {}
  for file, token in describe_added(files, origin):
    other = found.setdefault(token.content, token)
    if other != token and token.content not in specials:
      raise AddedTokensError(
        f"{origin}: {TOKENIZER_FILE} and {file} describe the added token "
        f"{token.content!r} differently, as {_told(other)} and {_told(token)}; "
        "make them agree"
      )
  listed = {t["content"]: t for values in files.values() for t in _list(values)}
  for content, id_ in files[ADDED_FILE].items():
    if type(id_) is not int:
      raise AddedTokensError(
        f"{origin}: {ADDED_FILE} says {content!r}: {id_!r}; give a number"
      )
    # A token that is no special one is folded as the text is.
    named = listed.get(content)
    token = AddedToken(id_, content) if named is None else _make(named, id_)
    found.setdefault(content, token)
  ids = {token: id_ for id_, token in enumerate(tokens)}
  after = max([len(tokens) - 1, *(token.id for token in found.values())]) + 1
  for content, values in listed.items():
    if content not in found and content not in specials:
      id_ = ids.get(content, after)
      after += id_ == after
      found[content] = _make(values, id_)
  kept = [
    dataclasses.replace(token, special=token.special or content in listed)
    for content, token in found.items()
    if content not in specials
  ]
  _check_split(files[CONFIG_FILE], kept, origin)
  return kept


def describe_added(
  files: Mapping[str, Mapping[str, Any]], origin: str
) -> Iterator[tuple[str, AddedToken]]:
  """Yield tokens with all their fields, and the files that have them.

  Args:
    files: as in `read_added`.
    origin: the folder, for messages.

  Raises:
    AddedTokensError: a token is not understood.
  """
  for values in files[TOKENIZER_FILE].get("added_tokens") or ():
    yield TOKENIZER_FILE, _checked(values, values.get("id"), origin)
  decoder = files[CONFIG_FILE].get("added_tokens_decoder") or {}
  for id_, values in decoder.items():
    number = int(id_) if str(id_).isdecimal() else id_
    yield CONFIG_FILE, _checked(values, number, origin)


def _checked(values: Any, id_: Any, origin: str) -> AddedToken:
  """Return a token whose fields are known and of the right type."""
  known = {"id", "content", "__type", *_FLAGS}
  given = values if isinstance(values, Mapping) else {}
  fits = (
    type(id_) is int
    and isinstance(given.get("content"), str)
    and given.keys() <= known
    and all(isinstance(given.get(flag, False), bool) for flag in _FLAGS)
  )
  if not fits:
    raise AddedTokensError(
      f"{origin}: the added token {values!r} with id {id_!r} is not "
      f"understood; give content, a number as id, and {', '.join(_FLAGS)} as "
      "true or false"
    )
  special = given.get("special", False)
  return _make({"normalized": not special, **given, "special": special}, id_)


def _make(values: Mapping[str, Any], id_: int) -> AddedToken:
  flags = {flag: values[flag] for flag in _FLAGS if flag in values}
  return AddedToken(id_, values["content"], **flags)


def _list(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
  """Yield what the lists of special tokens in a file say."""
  for key in LISTS:
    listed = values.get(key) or ()
    for token in listed.values() if isinstance(listed, Mapping) else listed:
      fields = token if isinstance(token, Mapping) else {"content": str(token)}
      yield {"normalized": False, **fields, "special": True}


def _check_split(
  settings: Mapping[str, Any], added: Sequence[AddedToken], origin: str
) -> None:
  special = [token.content for token in added if token.special]
  if settings.get(SPLIT) and special:
    raise AddedTokensError(
      f"{origin}: {CONFIG_FILE} says {SPLIT}=True, which makes plain text of "
      f"{' '.join(special)}; remove the key"
    )


def _told(token: AddedToken) -> str:
  flags = [flag for flag in _FLAGS if getattr(token, flag)]
  return f"id {token.id}" + (f" ({', '.join(flags)})" if flags else "")
