# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pieces of a new corpus for a WordPiece vocabulary that exists.

Every old piece keeps its id. A new one knows of which old pieces it is made,
so that weights that were trained with the old vocabulary can be carried over.
"""

import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from data_pipelines.tokenizers.new_pieces import Coverage, Cutter, choose_pieces
from data_pipelines.tokenizers.pieces import Tokenizer, is_unused
from data_pipelines.tokenizers.wordpiece import (
  VOCAB_FILE,
  WordPiece,
  load_wordpiece,
)
from data_pipelines.tokenizers.wordpiece_training import plain_words

RECORD = "extension.json"
_VERSION = 1
_TOKENIZER = "tokenizer"  # folder of a store or a bundle

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Extension:
  """A vocabulary, and the one that it extends.

  Attributes:
    tokenizer: with the new pieces.
    parent_sha256: of the tokenizer without them; a parent that is an
      extension itself knows its own.
    parts: id of each new piece → ids of the parent's pieces that it is made
      of. A piece that goes on with a word is cut as the inside of one.
    asked: number of pieces that were wanted.
    before, after: how the two cut the sample.
  """

  tokenizer: WordPiece
  parent_sha256: str
  parts: Mapping[int, tuple[int, ...]]
  asked: int
  before: Coverage
  after: Coverage

  @property
  def shortage(self) -> str:
    """That there are fewer pieces than asked for; empty where there are not."""
    if len(self.parts) >= self.asked:
      return ""
    return (
      f"extend_vocab={self.asked}: only {len(self.parts)} pieces of this "
      "corpus were found that save any"
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
    (pathlib.Path(folder) / RECORD).write_text(text, encoding="utf-8")


def _described(coverage: Coverage) -> dict[str, float]:
  return {
    **coverage._asdict(),
    "fertility": coverage.fertility,
    "unknown_rate": coverage.unknown_rate,
  }


def check_extendable(tokenizer: Tokenizer, count: int) -> WordPiece:
  """The tokenizer, if `count` pieces can be added to it.

  Raises:
    ValueError: no WordPiece vocabulary, or a count below 1.
  """
  if not isinstance(tokenizer, WordPiece):
    raise ValueError(
      f"extend_vocab={count} with a SentencePiece model, which cannot be "
      "extended; give a WordPiece vocabulary, or learn a new model with "
      "--tokenizer=sentencepiece"
    )
  if count < 1:
    raise ValueError(f"extend_vocab={count}; give at least 1")
  return tokenizer


def extend(tokenizer: Tokenizer, texts: Iterable[str], count: int) -> Extension:
  """Add the pieces that save most on a corpus; equal texts, equal pieces.

  They take the free `[unusedN]` slots first, then new ids, the one that saves
  most in front. Where fewer than `count` save any, there are fewer, and the
  log says so.

  Args:
    tokenizer: to be extended.
    texts: of the new corpus; read once.
    count: pieces wanted.

  Raises:
    ValueError: no WordPiece vocabulary, a count below 1, no text, or no piece
      that saves anything.
  """
  tokenizer = check_extendable(tokenizer, count)
  counts = plain_words(texts, lowercase=tokenizer.lowercase)
  if not counts:
    raise ValueError(
      f"extend_vocab={count}, but the corpus has no words; give another"
    )
  chosen = choose_pieces(tokenizer.pieces, counts, count)
  if not chosen:
    raise ValueError(
      f"extend_vocab={count}, but no piece of this corpus saves anything over "
      f"the {tokenizer.vocab_size} that there are; leave extend_vocab out"
    )
  pieces, ids = _placed(tokenizer.pieces, chosen)
  old, new = Cutter(tokenizer.pieces), Cutter(pieces)
  extension = Extension(
    tokenizer=WordPiece(pieces, lowercase=tokenizer.lowercase),
    parent_sha256=tokenizer.sha256,
    parts={
      id_: tuple(old.ids(piece)) for id_, piece in zip(ids, chosen, strict=True)
    },
    asked=count,
    before=old.coverage(counts),
    after=new.coverage(counts),
  )
  if extension.shortage:
    logger.warning(extension.shortage)
  return extension


def _placed(
  pieces: list[str], chosen: list[str]
) -> tuple[list[str], list[int]]:
  """The vocabulary with the chosen pieces, and the id of each of those."""
  placed = list(pieces)
  slots = [id_ for id_, piece in enumerate(pieces) if is_unused(piece)]
  ids = slots[: len(chosen)]
  for id_, piece in zip(ids, chosen, strict=False):
    placed[id_] = piece
  ids += range(len(placed), len(placed) + len(chosen) - len(ids))
  return placed + chosen[len(slots) :], ids


def load_extension(folder: str | os.PathLike[str]) -> Extension | None:
  """Read what `Extension.save` wrote; None where there is no extension.json.

  Raises:
    ValueError: it is damaged, or of another tokenizer than the one beside it.
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
      f"{path} is of another tokenizer than the one beside it; extend the "
      "vocabulary again"
    )
  return extension


def _coverage(described: Mapping[str, Any]) -> Coverage:
  return Coverage(**{name: described[name] for name in Coverage._fields})


def find_parts(
  folder: str | os.PathLike[str], parent_sha256: str
) -> Mapping[int, tuple[int, ...]]:
  """`Extension.parts` of a tokenizer's folder, over that parent.

  Empty where the tokenizer is no direct extension of it.
  """
  extension = load_extension(folder)
  if extension is None or extension.parent_sha256 != parent_sha256:
    return {}
  return extension.parts


def keep_record(
  source: str | os.PathLike[str], folder: str | os.PathLike[str]
) -> None:
  """Copy what `source` says of its parent beside the same tokenizer's files.

  Args:
    source: as `tokenizers.load` takes it.
    folder: where `Tokenizer.save` has written what was loaded from there.
  """
  given = pathlib.Path(source)
  base = given.parent if given.is_file() else given
  for place in (base, base / _TOKENIZER):
    if (place / VOCAB_FILE).is_file():
      if (place / RECORD).is_file():
        data = (place / RECORD).read_bytes()
        (pathlib.Path(folder) / RECORD).write_bytes(data)
      return
