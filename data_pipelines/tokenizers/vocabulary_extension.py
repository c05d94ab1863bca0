# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Extend a WordPiece vocabulary by tokens of a new corpus.

All old tokens keep their ids. Each new token is stored with the old tokens of
the same text, so that trained weights can be carried over.
"""

import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from bertjax.files import write_bytes, write_text
from data_pipelines.tokenizers.huggingface_import import load_wordpiece
from data_pipelines.tokenizers.kinds import kinds_of
from data_pipelines.tokenizers.new_tokens import (
  Coverage,
  WordTokenizer,
  choose_tokens,
)
from data_pipelines.tokenizers.special_tokens import is_unused
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.tokenizers import find_vocabulary
from data_pipelines.tokenizers.wordpiece import VOCAB_FILE, WordPiece
from data_pipelines.tokenizers.wordpiece_training import plain_words

RECORD = "extension.json"
_VERSION = 1
# Tokenizers that cannot be extended.
_CALLED = {"sentencepiece": "SentencePiece model", "byte_bpe": "byte-level BPE"}
# Names of the fields of `Coverage` in the file.
_COVERAGE_KEYS = {"words": "words", "tokens": "pieces", "unknown": "unknown"}

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Extension:
  """An extended vocabulary, and how it relates to its parent.

  Attributes:
    tokenizer: the tokenizer with the new tokens.
    parent_sha256: hash of the tokenizer without them, which may itself be an
      extension.
    parts: id of each new token → ids of the parent's tokens for the same
      text. A "##" token is tokenized as the inside of a word.
    asked: number of new tokens that were asked for.
    before, after: how well the two vocabularies cover the sample.
  """

  tokenizer: WordPiece
  parent_sha256: str
  parts: Mapping[int, tuple[int, ...]]
  asked: int
  before: Coverage
  after: Coverage

  @property
  def shortage(self) -> str:
    """Message that fewer tokens were found than asked for, else empty."""
    if len(self.parts) >= self.asked:
      return ""
    return (
      f"extend_vocab={self.asked}: only {len(self.parts)} new tokens shorten "
      "the text of this corpus"
    )

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write the tokenizer's files, and extension.json beside them."""
    self.tokenizer.save(folder)
    record = {
      "version": _VERSION,
      "sha256": self.tokenizer.sha256,
      "parent_sha256": self.parent_sha256,
      "asked": self.asked,
      "before": _described(self.before),
      "after": _described(self.after),
      "parts": {str(id_): list(ids) for id_, ids in self.parts.items()},
    }
    text = json.dumps(record, sort_keys=True) + "\n"
    write_text(pathlib.Path(folder) / RECORD, text)


def _described(coverage: Coverage) -> dict[str, float]:
  values = coverage._asdict()
  return {
    **{key: values[name] for name, key in _COVERAGE_KEYS.items()},
    "fertility": coverage.fertility,
    "unknown_rate": coverage.unknown_rate,
  }


def check_extendable(tokenizer: Tokenizer, count: int) -> WordPiece:
  """Return the tokenizer if `count` tokens can be added to it.

  Raises:
    ValueError: it is not a WordPiece vocabulary, or `count` is below 1.
  """
  if not isinstance(tokenizer, WordPiece):
    raise ValueError(
      f"extend_vocab={count} with a {_CALLED[tokenizer.name]}, which cannot be "
      "extended; give a WordPiece vocabulary, or learn a new one with "
      f"--tokenizer={kinds_of(tokenizer.name)[0]}"
    )
  if count < 1:
    raise ValueError(f"extend_vocab={count}; give at least 1")
  room = len(_unused(tokenizer))
  if count > room and tokenizer.vocab_size > len(tokenizer.words):
    raise ValueError(
      f"extend_vocab={count}, but tokens were added behind the vocabulary, and "
      f"only its {room} [unusedN] tokens can become others; give at most {room}"
      ", or import the tokenizer with --drop_added_tokens"
    )
  return tokenizer


def extend(tokenizer: Tokenizer, texts: Iterable[str], count: int) -> Extension:
  """Add the tokens that shorten a corpus most; equal texts give equal tokens.

  The tokens take the ids of `[unusedN]` tokens first, then new ids, the token
  that saves most first. If fewer than `count` tokens save anything, fewer are
  added, with a warning in the log.

  Args:
    tokenizer: the tokenizer to extend.
    texts: documents of the new corpus; read once.
    count: number of new tokens wanted.

  Raises:
    ValueError: not a WordPiece vocabulary, `count` below 1, no text, or no
      token that saves anything.
  """
  tokenizer = check_extendable(tokenizer, count)
  counts = plain_words(texts, tokenizer.rules)
  if not counts:
    raise ValueError(
      f"extend_vocab={count}, but the corpus has no words; give another corpus"
    )
  chosen = choose_tokens(
    tokenizer.words, counts, count, tokenizer.rules.max_word
  )
  chosen = [token for token in chosen if token not in tokenizer.tokens]
  if not chosen:
    raise ValueError(
      f"extend_vocab={count}, but no new token shortens this corpus beyond the "
      f"{tokenizer.vocab_size} tokens that exist; leave extend_vocab out"
    )
  tokens, ids = _placed(tokenizer, chosen)
  old, new = (
    WordTokenizer(vocabulary, tokenizer.rules.max_word)
    for vocabulary in (tokenizer.words, tokens)
  )
  extension = Extension(
    tokenizer=WordPiece(tokens, rules=tokenizer.rules, added=tokenizer.added),
    parent_sha256=tokenizer.sha256,
    parts={
      id_: tuple(old.ids(token)) for id_, token in zip(ids, chosen, strict=True)
    },
    asked=count,
    before=old.coverage(counts),
    after=new.coverage(counts),
  )
  if extension.shortage:
    logger.warning(extension.shortage)
  return extension


def _unused(tokenizer: WordPiece) -> list[int]:
  """Return the ids that are reserved for new tokens."""
  added = {token.content for token in tokenizer.added}
  return [
    id_
    for id_, token in enumerate(tokenizer.words)
    if is_unused(token) and token not in added
  ]


def _placed(
  tokenizer: WordPiece, chosen: list[str]
) -> tuple[list[str], list[int]]:
  """Return the vocabulary with the chosen tokens, and their ids."""
  placed, unused = list(tokenizer.words), _unused(tokenizer)
  ids = unused[: len(chosen)]
  for id_, token in zip(ids, chosen, strict=False):
    placed[id_] = token
  ids += range(len(placed), len(placed) + len(chosen) - len(ids))
  return placed + chosen[len(unused) :], ids


def load_extension(folder: str | os.PathLike[str]) -> Extension | None:
  """Read what `Extension.save` wrote; None if there is no extension.json.

  Raises:
    ValueError: the file is damaged, or belongs to another tokenizer than the
      one beside it.
  """
  path = pathlib.Path(folder) / RECORD
  if not path.is_file():
    return None
  tokenizer = load_wordpiece(path.with_name(VOCAB_FILE))
  try:
    record = json.loads(path.read_text(encoding="utf-8"))
    extension = Extension(
      tokenizer=tokenizer,
      parent_sha256=record["parent_sha256"],
      parts={int(id_): tuple(ids) for id_, ids in record["parts"].items()},
      asked=record["asked"],
      before=_coverage(record["before"]),
      after=_coverage(record["after"]),
    )
    matches = record["sha256"] == tokenizer.sha256
  except (ValueError, KeyError, TypeError, AttributeError):
    raise ValueError(
      f"{path} cannot be read; extend the vocabulary again"
    ) from None
  if not matches:
    raise ValueError(
      f"{path} belongs to another tokenizer than the one beside it; extend the "
      "vocabulary again"
    )
  return extension


def _coverage(described: Mapping[str, Any]) -> Coverage:
  return Coverage(
    **{name: described[key] for name, key in _COVERAGE_KEYS.items()}
  )


def find_parts(
  folder: str | os.PathLike[str], parent_sha256: str
) -> Mapping[int, tuple[int, ...]]:
  """Return `Extension.parts` of the tokenizer in a folder.

  The mapping is empty if the tokenizer does not directly extend the parent
  with the hash `parent_sha256`.
  """
  extension = load_extension(folder)
  if extension is None or extension.parent_sha256 != parent_sha256:
    return {}
  return extension.parts


def keep_record(
  source: str | os.PathLike[str], folder: str | os.PathLike[str]
) -> None:
  """Copy the extension.json of a tokenizer, if it has one.

  Args:
    source: path of the tokenizer, as `tokenizers.load` accepts it.
    folder: folder to which `Tokenizer.save` has written the tokenizer.
  """
  vocabulary = find_vocabulary(pathlib.Path(source))
  if vocabulary is not None and vocabulary.name == VOCAB_FILE:
    record = vocabulary.with_name(RECORD)
    if record.is_file():
      write_bytes(pathlib.Path(folder) / RECORD, record.read_bytes())
