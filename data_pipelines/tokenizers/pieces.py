# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What every tokenizer offers: pieces, their ids, and batches of text."""

import abc
import json
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bertjax.batch import Vocabulary

# In the order in which a new vocabulary starts.
PAD, UNK, CLS, SEP, MASK = SPECIALS = (
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "[MASK]",
)
# Slots that published vocabularies keep for their users.
_UNUSED = re.compile(r"\[unused\d+\]")
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"


class Tokenizer(abc.ABC):
  """Text to ids and back; no special piece is ever added or recognised.

  Attributes:
    name: "wordpiece" or "sentencepiece".
    pieces: text of each piece, by id.
    lowercase: whether case is folded before pieces are looked up.
    sha256: of everything that the ids follow from.
    no_exchange: why `save` writes no tokenizer.json; empty where it does.
    pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special pieces.
  """

  name: str
  lowercase: bool
  sha256: str
  no_exchange: str = ""

  def __init__(
    self, pieces: Sequence[str], specials: Sequence[int], origin: str
  ) -> None:
    """Take `pieces` by id and the ids of `SPECIALS`.

    Raises:
      ValueError: a piece twice; `origin` says where the vocabulary lay.
    """
    self.pieces = list(pieces)
    self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = specials
    first: dict[str, int] = {}
    for id_, piece in enumerate(self.pieces):
      if first.setdefault(piece, id_) != id_:
        raise ValueError(
          f"{origin} holds {piece!r} twice, as {first[piece]} and {id_}; "
          "give a vocabulary of distinct pieces"
        )

  @property
  def vocab_size(self) -> int:
    """Number of pieces."""
    return len(self.pieces)

  @abc.abstractmethod
  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids of all texts in a row (int32), and each text's number (int64)."""

  def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
    """Ids of each text: int32 arrays, without special pieces."""
    ids, lengths = self.encode_flat(texts)
    return np.split(ids, np.cumsum(lengths)[:-1]) if len(lengths) else []

  @abc.abstractmethod
  def decode(self, ids: Iterable[int]) -> str:
    """Text of `ids`; special pieces are written as they are called."""

  @abc.abstractmethod
  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write the files that `tokenizers.load`, and transformers, read."""

  @abc.abstractmethod
  def continues(self, piece: str) -> bool:
    """Whether an ordinary piece goes on with the word before it."""

  def is_special(self, id_: int) -> bool:
    """Whether the piece stands for no text."""
    return id_ in (
      self.pad_id,
      self.unk_id,
      self.cls_id,
      self.sep_id,
      self.mask_id,
    )

  def vocabulary(self, piece_counts: np.ndarray | None = None) -> Vocabulary:
    """Tables over the vocabulary.

    Args:
      piece_counts: how often each piece occurs in the training split: int [V].

    Raises:
      ValueError: counts of another vocabulary.
    """
    special_V = np.array([self.is_special(i) for i in range(self.vocab_size)])
    unused_V = np.array([is_unused(piece) for piece in self.pieces])
    continues_V = np.array([self.continues(p) for p in self.pieces])
    return Vocabulary(
      pad_id=self.pad_id,
      unk_id=self.unk_id,
      cls_id=self.cls_id,
      sep_id=self.sep_id,
      mask_id=self.mask_id,
      special_V=special_V,
      continues_V=continues_V & ~special_V,
      ordinary_W=np.flatnonzero(~special_V & ~unused_V).astype(np.int32),
      log_unigram_V=self._log_unigram(piece_counts),
    )

  def _log_unigram(self, counts_V: np.ndarray | None) -> np.ndarray | None:
    if counts_V is None:
      return None
    if len(counts_V) != self.vocab_size:
      raise ValueError(
        f"{len(counts_V)} piece counts for {self.vocab_size} pieces; give the "
        "tokenizer of the store"
      )
    smoothed_V = counts_V.astype(np.float64) + 1
    return np.log(smoothed_V / smoothed_V.sum()).astype(np.float32)


def is_unused(piece: str) -> bool:
  """Whether a piece is a slot that is free for its users."""
  return bool(_UNUSED.fullmatch(piece))


def find_specials(
  pieces: Sequence[str], names: Sequence[Sequence[str]], origin: str
) -> list[int]:
  """Ids of the special pieces, each under one of its `names`.

  Raises:
    ValueError: one is not there.
  """
  ids = {piece: id_ for id_, piece in enumerate(pieces)}
  found = []
  for choices in names:
    known = [ids[name] for name in choices if name in ids]
    if not known:
      raise ValueError(
        f"{origin} has no {' or '.join(choices)}; a vocabulary needs "
        f"{' '.join(SPECIALS)}"
      )
    found.append(known[0])
  return found


def save_exchange(
  folder: pathlib.Path, tokenizer: Tokenizer, backend: Any
) -> None:
  """Write the files from which transformers' AutoTokenizer builds the same.

  Args:
    folder: where to.
    tokenizer: whose they are.
    backend: a `tokenizers.Tokenizer` that gives the same ids.
  """
  from tokenizers import processors

  pieces = tokenizer.pieces
  cls, sep = pieces[tokenizer.cls_id], pieces[tokenizer.sep_id]
  backend.post_processor = processors.TemplateProcessing(
    single=f"{cls} $A {sep}",
    pair=f"{cls} $A {sep} $B:1 {sep}:1",
    special_tokens=[(cls, tokenizer.cls_id), (sep, tokenizer.sep_id)],
  )
  names = {
    "pad_token": pieces[tokenizer.pad_id],
    "unk_token": pieces[tokenizer.unk_id],
    "cls_token": cls,
    "sep_token": sep,
    "mask_token": pieces[tokenizer.mask_id],
  }
  backend.add_special_tokens(list(names.values()))
  (folder / TOKENIZER_FILE).write_text(
    backend.to_str(pretty=True) + "\n", encoding="utf-8"
  )
  # Not "BertTokenizer", which in transformers 5 takes only the vocabulary
  # from tokenizer.json and goes back to words of at most 100 characters.
  config = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    "do_lower_case": tokenizer.lowercase,
    **names,
  }
  (folder / CONFIG_FILE).write_text(
    json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
  )
