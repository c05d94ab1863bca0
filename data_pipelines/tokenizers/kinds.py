# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of tokenizers that can be learned, in one table.

A family of models whose tokenizer is not BERT's has a kind of its name. From
the table follow the values of `--tokenizer`, the rules that each takes, the
classes that files of transformers are read with, and what messages say of
kinds.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, cast

from data_pipelines.tokenizers.albert import Albert, Cleaning, train_albert
from data_pipelines.tokenizers.byte_bpe import ByteBPE
from data_pipelines.tokenizers.byte_bpe_training import (
  Specials,
  train_byte_bpe,
)
from data_pipelines.tokenizers.sentencepiece_model import (
  SentencePiece,
  train_sentencepiece,
)
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.template import Template
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.wordpiece import WordPiece
from data_pipelines.tokenizers.wordpiece_rules import (
  FORMS,
  Normalization,
  Rules,
)
from data_pipelines.tokenizers.wordpiece_training import train_wordpiece


class Asked(NamedTuple):
  """The rules that are asked for; see `tokenizers.train`."""

  lowercase: bool
  strip_accents: bool | None
  normalization: str


Learn = Callable[[Iterable[str], int, Asked], Tokenizer]


class Kind(NamedTuple):
  """A kind of tokenizer that is learned.

  Attributes:
    tokenizer: its class.
    learn: makes one from texts, a number of tokens, and rules that
      `tokenizers.check_rules` has passed.
    sample: characters of text to learn from, which keep memory below 800 MB,
      the text included. More text changes few tokens.
    normalization: Unicode form of a text if none is asked for.
    forms: Unicode forms that may be asked for.
    cased_forms: further ones, for a tokenizer that keeps case.
    folds_case: whether case is folded unless `lowercase` is False; if not, it
      never is.
    accents: when accents are removed if `strip_accents` is not given: where
      case is folded ("with case"), in any case ("usually"), or "never", which
      nothing changes.
    about: what the kind is, if its name does not tell.
    specials: special tokens of a byte-level BPE.
  """

  tokenizer: type[Tokenizer]
  learn: Learn
  sample: int
  normalization: str
  forms: tuple[str, ...]
  cased_forms: tuple[str, ...] = ()
  folds_case: bool = True
  accents: Literal["with case", "usually", "never"] = "never"
  about: str = ""
  specials: Specials | None = None


def _learn_wordpiece(
  texts: Iterable[str], size: int, asked: Asked
) -> WordPiece:
  form = cast("Normalization", asked.normalization)
  rules = Rules(asked.lowercase, asked.strip_accents, normalization=form)
  return train_wordpiece(texts, size, rules)


def _learn_sentencepiece(
  model_type: str, texts: Iterable[str], size: int, asked: Asked
) -> SentencePiece:
  return train_sentencepiece(
    texts,
    size,
    model_type=model_type,
    lowercase=asked.lowercase,
    normalize=asked.normalization != "none",
  )


def _learn_albert(texts: Iterable[str], size: int, asked: Asked) -> Albert:
  cleaning = Cleaning(asked.lowercase, asked.strip_accents is not False)
  return train_albert(texts, size, cleaning)


def _learn_byte_bpe(
  specials: Specials, texts: Iterable[str], size: int, asked: Asked
) -> ByteBPE:
  return train_byte_bpe(texts, size, specials, asked.normalization)


_ANY_FORM = ("none", *FORMS)


def _sentencepiece(model_type: str, sample: int) -> Kind:
  return Kind(
    SentencePiece,
    functools.partial(_learn_sentencepiece, model_type),
    sample,
    normalization="nfkc",
    forms=("nfkc",),
    cased_forms=("none",),
  )


def _byte_bpe(specials: Specials, normalization: str, about: str) -> Kind:
  return Kind(
    ByteBPE,
    functools.partial(_learn_byte_bpe, specials),
    50_000_000,
    normalization,
    forms=_ANY_FORM,
    folds_case=False,
    about=f"byte-level BPE with the special tokens of {about}",
    specials=specials,
  )


KINDS: Mapping[str, Kind] = {
  "wordpiece": Kind(
    WordPiece,
    _learn_wordpiece,
    50_000_000,
    normalization="none",
    forms=_ANY_FORM,
    accents="with case",
  ),
  "sentencepiece": _sentencepiece("unigram", 25_000_000),
  "sentencepiece_bpe": _sentencepiece("bpe", 50_000_000),
  "albert": Kind(
    Albert,
    _learn_albert,
    25_000_000,
    normalization="nfkc",
    forms=("nfkc",),
    accents="usually",
    about="SentencePiece behind ALBERT's cleaning",
  ),
  # The ids are in the order of the published vocabularies: RoBERTa's positions
  # begin behind its <pad>, which has id 1.
  "roberta": _byte_bpe(
    Specials(
      ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
      first=("<s>", "<pad>", "</s>", "<unk>"),
      last=("<mask>",),
      frame=Template.doubled,
    ),
    "none",
    "RoBERTa",
  ),
  "modernbert": _byte_bpe(
    Specials(
      SPECIALS,
      first=(),
      last=("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"),
      frame=Template.of_bert,
    ),
    "nfc",
    "ModernBERT",
  ),
}
# The special tokens of each kind of byte-level BPE.
BYTE_LEVEL = {
  name: kind.specials for name, kind in KINDS.items() if kind.specials
}


def class_of(name: str) -> type[Tokenizer]:
  """Return the class with a `Tokenizer.name`."""
  return KINDS[kinds_of(name)[0]].tokenizer


def kinds_of(name: str) -> list[str]:
  """Return the kinds with a `Tokenizer.name`, the plainest first."""
  return [each for each in KINDS if KINDS[each].tokenizer.name == name]
