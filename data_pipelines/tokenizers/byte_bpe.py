# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Byte-level BPE, as RoBERTa (GPT-2) and ModernBERT have it.

A text is cut into words by GPT-2's pattern, with the space before a word as
its first character, and the UTF-8 bytes of a word are merged. No byte is
unknown, and ids lead back to the text exactly. The library `tokenizers` does
all of it.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from bertjax.files import write_json, write_text
from data_pipelines.tokenizers import scripts
from data_pipelines.tokenizers.added_tokens import AddedToken, any_of
from data_pipelines.tokenizers.huggingface_export import save_huggingface
from data_pipelines.tokenizers.huggingface_names import SPECIALS_FILE
from data_pipelines.tokenizers.library_tokenizer import LibraryTokenizer
from data_pipelines.tokenizers.template import Template

VOCAB_JSON = "vocab.json"
MERGES_FILE = "merges.txt"
SPACE = "Ġ"  # the byte of a space, as it is written in tokens
ALPHABET = frozenset(pre_tokenizers.ByteLevel.alphabet())
# Bytes that no UTF-8 text has.
_IMPOSSIBLE = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))
_FORMS = {
  "none": None,
  "nfc": normalizers.NFC,
  "nfkc": normalizers.NFKC,
}
# White space that belongs to no word behind it.
_OTHER_SPACE = re.compile(r"[^\S ]|  | $")
_WORD = re.compile(" ?[^ ]+")
_MERGES_HEAD = "#version: 0.2\n"


@dataclasses.dataclass(frozen=True)
class BytePairs:
  """What a byte-level BPE tokenizer is made of.

  Attributes:
    tokens: text of each token by id, all special and added ones included.
    merges: pairs of tokens that become one, the first pair first.
    specials: the special tokens pad, unk, cls, sep and mask, in this order.
    template: the special tokens around texts.
    normalization: Unicode form that a text gets first: "none", "nfc" or "nfkc".
    prefix_space: whether a text that begins without a space gets one.
    mask_takes_space: whether the space before a mask in a text is its own.
    added: tokens that are matched in a text before it is cut into words.
  """

  tokens: tuple[str, ...]
  merges: tuple[tuple[str, str], ...]
  specials: tuple[str, str, str, str, str]
  template: Template
  normalization: str = "none"
  prefix_space: bool = False
  mask_takes_space: bool = True
  added: tuple[AddedToken, ...] = ()


class ByteBPE(LibraryTokenizer):
  """Merged bytes of words; a space belongs to the word behind it.

  Attributes:
    pairs: what it is made of.
  """

  name = "byte_bpe"
  own_class = "RobertaTokenizer"
  lowercase = False

  def __init__(
    self, pairs: BytePairs, *, origin: str = "the vocabulary"
  ) -> None:
    """Make a tokenizer.

    Args:
      pairs: what it is made of.
      origin: where that comes from, for messages.

    Raises:
      ValueError: a byte has no token, or a token occurs twice.
    """
    ids = {token: id_ for id_, token in enumerate(pairs.tokens)}
    super().__init__(
      pairs.tokens, [ids[name] for name in pairs.specials], origin
    )
    missing = sum(
      letter not in ids
      for letter in ALPHABET
      if _BYTES[letter] not in _IMPOSSIBLE
    )
    if missing:
      raise ValueError(
        f"{origin} has no token for {missing} of the 256 bytes, so that text "
        "would be lost; give a byte-level BPE that knows all of them"
      )
    self.template = pairs.template
    self.pairs, self.added = pairs, pairs.added
    self.normalization = pairs.normalization
    self.mask_takes_space = pairs.mask_takes_space
    self.sha256 = hashlib.sha256(self._identity().encode()).hexdigest()
    self._use(self.make_backend())
    self._added = any_of([token.content for token in self.added])

  def _identity(self) -> str:
    """Return everything that determines the ids, as text.

    RoBERTa's template and BERT's are a flag, as they were when there were no
    others.
    """
    parts = dataclasses.asdict(self.pairs)
    del parts["template"]
    parts["is_roberta"] = self._has_roberta_template()
    usual = Template.of_bert(self.cls_id, self.sep_id)
    if not parts["is_roberta"] and self.template != usual:
      parts["template"] = self.template.to_json()
    return f"byte_bpe\n{json.dumps(parts, sort_keys=True)}"

  def _has_roberta_template(self) -> bool:
    return self.template == Template.doubled(self.cls_id, self.sep_id)

  def make_backend(self) -> Backend:
    """Return the library's tokenizer, without added and special tokens.

    All tokens are in its model, so that tokens that are added keep their ids.
    No merges make them.
    """
    vocabulary = {token: id_ for id_, token in enumerate(self.tokens)}
    backend = Backend(models.BPE(vocabulary, list(self.pairs.merges)))
    if form := _FORMS[self.normalization]:
      backend.normalizer = form()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(
      add_prefix_space=self.pairs.prefix_space
    )
    backend.decoder = decoders.ByteLevel()
    return backend

  def _split(self, text: str) -> list[str] | None:
    """Return words with the space before each, where no others are.

    GPT-2's pattern and the Unicode forms join nothing across a single space.
    """
    if not text or _OTHER_SPACE.search(text):
      return None
    # What is cleaned first may become an added token.
    if self._added and (not text.isascii() or self._added.search(text)):
      return None
    return _WORD.findall(text)

  def after_space(self, text: str) -> str:
    """Return a text as it stands behind a space."""
    return f" {text}"

  def decode(self, ids: Iterable[int]) -> str:
    """Return the text of `ids`; special tokens appear by their names."""
    text = self._backend.decode([*map(int, ids)], skip_special_tokens=False)
    return text.removeprefix(" ") if self.pairs.prefix_space else text

  def continues(self, token: str) -> bool:
    """Return whether a token continues the word before it.

    A token that begins with white space, or in a script without spaces between
    words, begins a word.
    """
    data = self._data(token)
    if not data:
      return False
    if 0x80 <= data[0] < 0xC0:  # the inside of a character
      return True
    first = _first_character(data)
    return not (first.isspace() or scripts.is_unspaced(first))

  def _data(self, token: str) -> bytes:
    """Return the bytes of an ordinary token; none of an added one."""
    if token in self._beside or not ALPHABET.issuperset(token):
      return b""
    return bytes(_BYTES[letter] for letter in token)

  @functools.cached_property
  def _beside(self) -> frozenset[str]:
    return frozenset((*self.pairs.specials, *(t.content for t in self.added)))

  def letters(self, token: str) -> str:
    """Return the text of a token; parts of characters are "�"."""
    data = self._data(token)
    return data.decode(errors="replace") if data else token

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write the files of transformers: all of them for RoBERTa's kind.

    These are tokenizer.json, tokenizer_config.json, special_tokens_map.json,
    and for RoBERTa's kind vocab.json and merges.txt.
    """
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    more: dict[str, object] = {"add_prefix_space": self.pairs.prefix_space}
    if self._is_plain():
      more["tokenizer_class"] = self.own_class
      ids = {token: id_ for id_, token in enumerate(self.tokens)}
      write_text(target / VOCAB_JSON, json.dumps(ids, ensure_ascii=False))
      lines = (f"{left} {right}\n" for left, right in self.pairs.merges)
      write_text(target / MERGES_FILE, _MERGES_HEAD + "".join(lines))
    names = save_huggingface(
      target,
      self,
      self.make_backend(),
      more,
      prefix_space=self.pairs.prefix_space,
    )
    write_json(target / SPECIALS_FILE, names, sort_keys=True)

  def _is_plain(self) -> bool:
    """Return whether transformers' RobertaTokenizer does the same."""
    return self._has_roberta_template() and self.normalization == "none"

  def __reduce__(self) -> tuple[object, ...]:
    return ByteBPE, (self.pairs,)


def _letters_of_bytes() -> Mapping[str, int]:
  """Return the byte of each letter (`bytes_to_unicode` of GPT-2)."""
  own = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
  others = [byte for byte in range(256) if byte not in own]
  letters = {chr(byte): byte for byte in own}
  letters.update((chr(256 + n), byte) for n, byte in enumerate(others))
  return letters


_BYTES = _letters_of_bytes()


def _first_character(data: bytes) -> str:
  """Return the first character; of a part of one, a letter that begins so."""
  lead = data[0]
  size = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
  whole = data[:size].ljust(size, b"\xa5")
  return whole.decode(errors="replace")[0]
