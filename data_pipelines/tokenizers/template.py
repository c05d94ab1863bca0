# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The special tokens around the texts of an example.

BERT has `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, where B has type 1
(Devlin et al., 2018, figure 2). RoBERTa has `<s> A </s>` and
`<s> A </s> </s> B </s>`, all of type 0 (`RobertaProcessing` of the library
`tokenizers`). Every row reads a template; nothing else knows how many special
tokens there are, or where they stand.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

Ids = Iterable[int] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Template:
  """`first A last` for one text, and `first A between B last` for two.

  Where an example holds the ends and beginnings of several documents, `last`
  stands behind each of them.

  Attributes:
    first: ids before the first text. The first of them is the token whose
      hidden state stands for the example.
    between: ids between two texts.
    last: ids behind the only or the second text.
    second_type: type of the second text and of what stands behind it; what
      stands before it has type 0.
  """

  first: tuple[int, ...]
  between: tuple[int, ...]
  last: tuple[int, ...]
  second_type: int = 1

  @classmethod
  def of_bert(cls, cls_id: int, sep_id: int) -> Self:
    """Return `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`."""
    return cls((cls_id,), (sep_id,), (sep_id,))

  @classmethod
  def doubled(cls, cls_id: int, sep_id: int) -> Self:
    """Return `<s> A </s>` and `<s> A </s> </s> B </s>`, all of one type."""
    return cls((cls_id,), (sep_id, sep_id), (sep_id,), second_type=0)

  @classmethod
  def from_json(cls, value: Mapping[str, Any]) -> Self:
    """Return what `to_json` was called on.

    Raises:
      KeyError, TypeError: a part is missing or unknown.
    """
    parts = ("first", "between", "last")
    return cls(**{**value, **{part: tuple(value[part]) for part in parts}})

  def to_json(self) -> dict[str, Any]:
    """Return the template as plain JSON."""
    parts = dataclasses.asdict(self).items()
    return {
      part: list(ids) if isinstance(ids, tuple) else ids for part, ids in parts
    }

  @property
  def ids(self) -> frozenset[int]:
    """The special tokens that stand around texts."""
    return frozenset((*self.first, *self.between, *self.last))

  def count(self, *, pair: bool) -> int:
    """Return the number of special tokens around one text, or around two."""
    between = len(self.between) if pair else 0
    return len(self.first) + between + len(self.last)

  @property
  def start(self) -> int:
    """The position of the first text."""
    return len(self.first)

  def second_start(self, size: int) -> int:
    """Return the position of the second text behind a first one of `size`."""
    return self.start + size + len(self.between)

  def join(self, a: Ids, b: Ids | None = None) -> np.ndarray:
    """Return the ids of one text or two with their special tokens: int32."""
    behind = () if b is None else (self.between, b)
    parts = [np.asarray(x, np.int32) for x in (self.first, a, *behind)]
    return np.concatenate([*parts, np.asarray(self.last, np.int32)])

  def types(self, size_a: int, size_b: int | None = None) -> np.ndarray:
    """Return the types of what `join` returns for texts of these sizes."""
    if size_b is None:
      return np.zeros(size_a + self.count(pair=False), np.int32)
    types = np.zeros(size_a + size_b + self.count(pair=True), np.int32)
    types[self.second_start(size_a) :] = self.second_type
    return types
