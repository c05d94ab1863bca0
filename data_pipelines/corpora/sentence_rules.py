# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is known about a language when its sentences are cut."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self

FORMAT = "bertjax-sentences"
VERSION = 1

# What holds before anything is learned, and for a sample too small to learn
# from: their full stop never ends a sentence. Words are written as they occur,
# since the "Fa." of a German firm is not the "fa" of an Italian sentence.
_ABBREVIATIONS = """
  mr mrs ms messrs mme mlle dr prof st ste rev hon gov sen rep gen col
  maj capt cpt lt lieut sgt cpl adm cmdr sr hr fr br mt ft vs viz cf eg ie
  approx esp messieurs supt insp
  e.g i.e a.k.a z.b d.h
  bzw ca evtl ggf inkl vgl zzgl Fa
  sra srta sres dott
  проф акад
"""
# The full stop of these does not end a sentence if a number follows.
_BEFORE_DIGITS = """
  no nos vol vols p pp ch chap fig figs sec sect art arts eq eqs ex par pt
  bk ver v ll
  jan feb mar apr jun jul aug sep sept oct nov dec
  Abb Tab Nr Bd Kap Anm стр рис табл гл
"""


@dataclasses.dataclass(frozen=True)
class SentenceRules:
  """What tells a full stop that ends a sentence from one that does not.

  Attributes:
    abbreviations: words whose full stop never ends a sentence, in lower case
      where that is how they were counted.
    before_digits: words whose full stop does not end one before a number.
    learned: abbreviations of the sample, in lower case; a sentence may end
      with them, if a word of `starters` follows.
    starters: words in lower case that have a capital only where a sentence
      starts; None where nothing is known, and the document itself is asked.
    lower_case: whether sentences start in lower case.
  """

  abbreviations: frozenset[str] = frozenset(_ABBREVIATIONS.split())
  before_digits: frozenset[str] = frozenset(_BEFORE_DIGITS.split())
  learned: frozenset[str] = frozenset()
  starters: frozenset[str] | None = None
  lower_case: bool = False

  def to_json(self) -> str:
    """Return the text of `sentences.json`; equal rules give equal text."""
    value = {
      field.name: _sorted(getattr(self, field.name))
      for field in dataclasses.fields(self)
    }
    value = {"format": FORMAT, "version": VERSION, **value}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"

  @classmethod
  def from_json(cls, text: str) -> Self:
    """Read the text of `sentences.json`.

    Raises:
      ValueError: it is damaged, or of another version.
    """
    value = json.loads(text)
    if not isinstance(value, Mapping) or (
      (value.get("format"), value.get("version")) != (FORMAT, VERSION)
    ):
      raise ValueError(f"it is not {FORMAT} version {VERSION}")
    names = [field.name for field in dataclasses.fields(cls)]
    if missing := [name for name in names if name not in value]:
      raise ValueError(f"it has no {', '.join(missing)}")
    return cls(**{name: _frozen(value[name]) for name in names})


# Before anything is learned.
PRIOR = SentenceRules()


def _sorted(value: Any) -> Any:
  return sorted(value) if isinstance(value, frozenset) else value


def _frozen(value: Any) -> Any:
  return frozenset(value) if isinstance(value, list) else value
