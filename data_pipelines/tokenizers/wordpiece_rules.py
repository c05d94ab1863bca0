# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How WordPiece cleans text, folds it and cuts it into words."""

import dataclasses
import re
from typing import Any, Literal

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from data_pipelines.tokenizers.huggingface_names import (
  LIMIT,
  NORMALIZATION,
  RULES,
)

Normalization = Literal["none", "nfc", "nfkc"]
FORMS = {"nfc": normalizers.NFC, "nfkc": normalizers.NFKC}

PREFIX = "##"
# The limit of WordpieceTokenizer in google-research/bert's tokenization.py.
MAX_WORD = 200

# Each of these marks is a word of its own: ASCII punctuation and the marks
# that are common in prose.
_MARKS = (
  r"!-/:-@\[-`{-~¡§«¶·»¿\u2010-\u2027"
  r"\u3001-\u3003\u3008-\u3011\uff01\uff08\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
)
# So is each of these ideographs: the ranges of the library's BertNormalizer,
# which are Google's but for U+2B820 to U+2B91F. No mark combines with one.
_IDEOGRAPHS = (
  r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df"
  r"\U0002a700-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)
_SPACES = r" \t\r\n"


# Key of tokenizer_config.json → rule.
_KEYS = {left: rule for left, _, rule in RULES} | {
  NORMALIZATION: "normalization",
  LIMIT: "max_word",
}


@dataclasses.dataclass(frozen=True)
class Rules:
  """Rules of google-research/bert, and what its users have changed.

  Attributes:
    lowercase: whether to fold case.
    strip_accents: whether to remove accents; None does so if case is folded.
    split_ideographs: whether each ideograph is a word of its own.
    clean: whether to remove control characters.
    normalization: Unicode form that text gets before anything else.
    max_word: number of characters beyond which a word is the unknown token.
  """

  lowercase: bool = True
  strip_accents: bool | None = None
  split_ideographs: bool = True
  clean: bool = True
  normalization: Normalization = "none"
  max_word: int = MAX_WORD

  def __post_init__(self) -> None:
    """Replace None, so that equal rules compare equal."""
    if self.strip_accents is None:
      object.__setattr__(self, "strip_accents", self.lowercase)

  def unusual(self) -> dict[str, Any]:
    """Return the rules that are not Google's, as tokenizer_config.json."""
    usual = Rules(self.lowercase)
    return {
      key: getattr(self, rule)
      for key, rule in _KEYS.items()
      if getattr(self, rule) != getattr(usual, rule)
    }

  def __str__(self) -> str:
    """Name the case, and the rules that are not Google's."""
    words = (f" {key}={value}" for key, value in self.unusual().items())
    return ("uncased" if self.lowercase else "cased") + "".join(words)

  def make_backend(self, model: models.Model) -> Backend:
    """Return a backend of the library that follows these rules."""
    backend = Backend(model)
    bert = normalizers.BertNormalizer(
      clean_text=self.clean,
      handle_chinese_chars=self.split_ideographs,
      strip_accents=self.strip_accents,
      lowercase=self.lowercase,
    )
    backend.normalizer = (
      normalizers.Sequence([FORMS[self.normalization](), bert])
      if self.normalization in FORMS
      else bert
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix=PREFIX)
    backend.encode_special_tokens = True  # "[MASK]" in a text is plain text
    return backend

  def words(self) -> re.Pattern[str]:
    """Return a pattern of the parts of a text that can be tokenized alone.

    A part is a word of ASCII letters and digits, a mark, an ideograph, a line
    feed, or a run with any other character, which only the library can clean
    and split.
    """
    ideographs = _IDEOGRAPHS if self.split_ideographs else ""
    alone = _MARKS + ideographs
    run = rf"[^{_SPACES}{alone}]"
    if self.normalization != "none":
      # A mark may be composed with what follows it to a letter of the word
      # before it, as "<" + U+0338.
      run = rf"(?:{run}|[{_MARKS}](?=[^\x00-\x7f{alone}]))"
    return re.compile(rf"[A-Za-z0-9]++(?!{run})|{run}+|[{alone}\n]")
