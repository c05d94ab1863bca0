# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece as ALBERT has it: text is cleaned, then cut word by word.

ALBERT's code cleans a text before its model of SentencePiece sees it
(google-research/albert, tokenization.py, `preprocess_text`), and transformers
cuts it at white space first. The library `tokenizers` does both here, as it
does in transformers' `AlbertTokenizer`.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from bertjax.files import write_bytes
from data_pipelines.tokenizers.added_tokens import AddedToken, all_tokens
from data_pipelines.tokenizers.huggingface_export import save_huggingface
from data_pipelines.tokenizers.huggingface_names import ACCENTS
from data_pipelines.tokenizers.library_tokenizer import LibraryTokenizer
from data_pipelines.tokenizers.sentencepiece_backend import PROTOS, SPACE
from data_pipelines.tokenizers.sentencepiece_model import (
  MODEL_FILE,
  SentencePiece,
  train_sentencepiece,
)
from data_pipelines.tokenizers.tokenizer import SURROGATES

# What ALBERT calls the two special tokens that are no [NAME], which have the
# first two ids.
_PAD, _UNK = "<pad>", "<unk>"
_WORD = re.compile("[^ ]+")
# Characters beside a space that may be of one grapheme with it: marks, joiners,
# and signs that stand before others. All but letters, digits and punctuation
# are taken for such, and of letters those with this property of Unicode.
_LETTERS = (
  "\u0d4e\uff9e\uff9f\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a"
  "\U00011a84-\U00011a89\U00011d46\U00011f02"
)
_PLAIN = "\\w\\s!-~«»¡¿‐-‧‹›、。，！？（）「」"
_JOINS_SPACE = re.compile(
  f"[^{_PLAIN}] | [^{_PLAIN}]|[{_LETTERS}] | [{_LETTERS}]"
)
_FIX = (
  "give the spiece.model of an ALBERT, or another tokenizer_class in "
  "tokenizer_config.json"
)


@dataclasses.dataclass(frozen=True)
class Cleaning:
  """How a text is cleaned before it is cut.

  Attributes:
    lowercase: whether to fold case.
    strip_accents: whether to remove accents and other marks.
  """

  lowercase: bool = True
  strip_accents: bool = True

  def steps(self) -> list[normalizers.Normalizer]:
    """Return the steps of the library."""
    found: list[normalizers.Normalizer] = [
      normalizers.Replace("``", '"'),
      normalizers.Replace("''", '"'),
    ]
    if self.strip_accents:
      found += [normalizers.NFKD(), normalizers.StripAccents()]
    if self.lowercase:
      found.append(normalizers.Lowercase())
    return found


class Albert(LibraryTokenizer, SentencePiece):
  """A unigram model of SentencePiece behind ALBERT's cleaning.

  The ids are those of transformers' `AlbertTokenizer`.

  Attributes:
    cleaning: how a text is cleaned.
  """

  mask_takes_space = True
  own_class = "AlbertTokenizer"

  def __init__(
    self,
    model: bytes,
    cleaning: Cleaning | None = None,
    *,
    added: Sequence[AddedToken] = (),
    origin: str = "the model",
  ) -> None:
    """Make a tokenizer from the bytes of a spiece.model.

    Args:
      model: the bytes.
      cleaning: how a text is cleaned; None folds case and removes accents.
      added: tokens that are matched before words are cut: each is in the
        vocabulary, or its id continues those of the vocabulary.
      origin: where the model comes from, for messages.

    Raises:
      ValueError: not a unigram model as ALBERT has it.
    """
    super().__init__(model, origin=origin)
    spec = self._parsed.trainer_spec
    if spec.model_type != PROTOS.TrainerSpec.UNIGRAM or spec.byte_fallback:
      raise ValueError(
        f"{origin} is no unigram model, or has tokens of single bytes, and "
        f"{self.own_class} reads only unigram models without them; {_FIX}"
      )
    if self.unk_id != 1:
      raise ValueError(
        f"{origin} has its unknown token at id {self.unk_id}, and "
        f"{self.own_class} has it at 1; {_FIX}"
      )
    self.cleaning = cleaning or Cleaning()
    self.lowercase = self.cleaning.lowercase
    self.strip_accents = self.cleaning.strip_accents
    parts = f"albert {self.cleaning}\n".encode() + model
    if added:
      self.tokens = all_tokens(self.tokens, added, origin)
      self.added = tuple(sorted(added, key=lambda token: token.id))
      fields = [[token.id, token.fields()] for token in self.added]
      parts += json.dumps(fields).encode()
    self._beside = frozenset(token.content for token in added)
    self.sha256 = hashlib.sha256(parts).hexdigest()
    self.export_obstacle = ""
    self._use(self._make(hide_specials=True))

  @classmethod
  def read(
    cls,
    model: bytes,
    settings: Mapping[str, Any],
    *,
    added: Sequence[AddedToken] = (),
    origin: str,
  ) -> Self:
    """Make the tokenizer that files of transformers describe."""
    cleaning = Cleaning(
      settings.get("do_lower_case") is not False, not settings.get(ACCENTS)
    )
    return cls(model, cleaning, added=added, origin=origin)

  def make_backend(self) -> Backend:
    """Return the library's tokenizer, as `AlbertTokenizer` makes it."""
    return self._make(hide_specials=False)

  def _make(self, *, hide_specials: bool) -> Backend:
    """Make a backend; hidden special tokens do not match "[MASK]" in a text."""
    scores = [
      # No word has a space in it.
      (f" {entry.piece}" if hidden else entry.piece, entry.score)
      for id_, entry in enumerate(self._parsed.pieces)
      for hidden in [hide_specials and self._is_hidden(id_)]
    ]
    backend = Backend(models.Unigram(scores, self.unk_id, byte_fallback=False))
    steps = self.cleaning.steps()
    if charsmap := self._parsed.normalizer_spec.precompiled_charsmap:
      steps.append(normalizers.Precompiled(charsmap))
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
      [
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Metaspace(SPACE, prepend_scheme="always"),
      ]
    )
    backend.decoder = decoders.Metaspace(SPACE, prepend_scheme="always")
    return backend

  def _split(self, text: str) -> list[str] | None:
    """Return the words between spaces, unless one is cleaned with a space.

    What is cleaned first may become an added token.
    """
    if self.added or (not text.isascii() and _JOINS_SPACE.search(text)):
      return None
    return _WORD.findall(text)

  def _is_hidden(self, id_: int) -> bool:
    return self.is_special(id_) and self.tokens[id_] not in self._beside

  def continues(self, token: str) -> bool:
    """Return whether a token continues the word before it.

    A token that was added to the vocabulary begins one.
    """
    return token not in self._beside and super().continues(token)

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write spiece.model, tokenizer.json and tokenizer_config.json."""
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    write_bytes(target / MODEL_FILE, self._model)
    more = {
      "tokenizer_class": self.own_class,
      ACCENTS: not self.strip_accents,
    }
    save_huggingface(target, self, self.make_backend(), more)

  def __reduce__(self) -> tuple[object, ...]:
    make = functools.partial(Albert, added=self.added)
    return make, (self._model, self.cleaning)


def train_albert(
  texts: Iterable[str], vocab_size: int, cleaning: Cleaning
) -> Albert:
  """Learn a unigram model of cleaned text.

  Args:
    texts: documents to learn from; read once.
    vocab_size: number of tokens, special tokens included.
    cleaning: how a text is cleaned.

  Raises:
    ValueError: the text is too small for `vocab_size`, or has too many letters.
  """
  clean = normalizers.Sequence(cleaning.steps()).normalize_str
  learned = train_sentencepiece(
    (clean(SURROGATES.sub("", text)) for text in texts),
    vocab_size,
    lowercase=False,
  )
  parsed = PROTOS.ModelProto()
  parsed.ParseFromString(learned.model)
  parsed.pieces[0].piece = parsed.trainer_spec.pad_piece = _PAD
  parsed.pieces[1].piece = parsed.trainer_spec.unk_piece = _UNK
  return Albert(parsed.SerializeToString(deterministic=True), cleaning)
