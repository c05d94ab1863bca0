# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers that write a space as "▁" and that the library defines.

XLM-R's and CamemBERT's unigram models, and Gemma's BPE with tokens of single
bytes, which mmBERT has, are read as their tokenizer.json is: the library
`tokenizers` does what it says, so that ids are those of transformers by
construction.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer as Backend

from bertjax.files import write_text
from data_pipelines.tokenizers.added_tokens import AddedToken
from data_pipelines.tokenizers.huggingface_export import save_huggingface
from data_pipelines.tokenizers.huggingface_names import TOKENIZER_FILE
from data_pipelines.tokenizers.library_tokenizer import LibraryTokenizer
from data_pipelines.tokenizers.scripts import is_unspaced
from data_pipelines.tokenizers.sentencepiece_backend import SPACE
from data_pipelines.tokenizers.template import Template

# Parts of a tokenizer.json around its model.
STEPS = ("normalizer", "pre_tokenizer", "decoder")


@dataclasses.dataclass(frozen=True)
class Pieces:
  """What such a tokenizer is made of.

  Attributes:
    tokens: text of each token by id, all special and added ones included.
    steps: the JSON text of `STEPS`.
    model: the JSON text of the model, whose vocabulary has the first ids.
    specials: the special tokens pad, unk, cls, sep and mask, in this order.
    template: the special tokens around texts.
    mask_takes_space: whether the space before a mask in a text is its own.
    added: tokens that are matched in a text before it is cut into words.
  """

  tokens: tuple[str, ...]
  steps: str
  model: str
  specials: tuple[str, str, str, str, str]
  template: Template
  mask_takes_space: bool = False
  added: tuple[AddedToken, ...] = ()


class Metaspace(LibraryTokenizer):
  """Pieces of words; a space belongs to the word behind it.

  Attributes:
    pieces: what it is made of.
  """

  name = "sentencepiece"
  space = SPACE

  def __init__(self, pieces: Pieces, *, origin: str = "the model") -> None:
    """Make a tokenizer.

    Args:
      pieces: what it is made of.
      origin: where that comes from, for messages.

    Raises:
      ValueError: the library cannot make it, it does not write spaces as "▁",
        or a token occurs twice.
    """
    ids = {token: id_ for id_, token in enumerate(pieces.tokens)}
    super().__init__(
      pieces.tokens, [ids[name] for name in pieces.specials], origin
    )
    self.pieces, self.added = pieces, pieces.added
    self.template = pieces.template
    self.mask_takes_space = pieces.mask_takes_space
    parts = json.dumps(dataclasses.asdict(pieces), sort_keys=True)
    self.sha256 = hashlib.sha256(f"metaspace\n{parts}".encode()).hexdigest()
    self._beside = {*pieces.specials, *(t.content for t in pieces.added)}
    try:
      backend = self._make(hide_specials=True)
    except Exception as error:  # the library has no class of its own
      raise ValueError(
        f"{origin}: `tokenizers` cannot read it ({error}); write it again with "
        "save_pretrained of transformers"
      ) from None
    self._use(backend)
    self._prefixes = self._cut("b").startswith(SPACE)
    if f"{SPACE}b" not in self._cut("a b"):
      raise ValueError(
        f'{origin}: it makes {self._cut("a b")!r} of "a b", and only spaces '
        f"that become {SPACE!r} can be read; give another tokenizer"
      )
    self.lowercase = self._clean("A") == "a"
    self.strip_accents = self._clean("é") == "e"
    if self._clean("\ufb01") == "fi":
      self.normalization = "nfkc"
    elif self._clean("e\u0301") == "é":
      self.normalization = "nfc"

  def _clean(self, text: str) -> str:
    normalizer = self._backend.normalizer
    cleaned = normalizer.normalize_str(text) if normalizer else text
    return cleaned.strip(f"{SPACE} ")

  def _cut(self, text: str) -> str:
    """Return a text as the model sees it, words one behind another."""
    normalizer = self._backend.normalizer
    cleaned = normalizer.normalize_str(text) if normalizer else text
    cutter = self._backend.pre_tokenizer
    if not cutter:
      return cleaned
    return "".join(word for word, _ in cutter.pre_tokenize_str(cleaned))

  def make_backend(self) -> Backend:
    """Return the library's tokenizer without special and added tokens."""
    return self._make(hide_specials=False)

  def _make(self, *, hide_specials: bool) -> Backend:
    """Make a backend; hidden special tokens do not match "<s>" in a text.

    Hidden ones are in the vocabulary, where ids that are added follow them.
    """
    model = json.loads(self.pieces.model)
    if hide_specials:
      _hide(model, self.pieces)
    content = {
      "version": "1.0",
      "added_tokens": [],
      "post_processor": None,
      "model": model,
      **json.loads(self.pieces.steps),
    }
    return Backend.from_str(json.dumps(content))

  def after_space(self, text: str) -> str:
    """Return a text as it stands behind a space."""
    return text if self._prefixes else f" {text}"

  def decode(self, ids: Iterable[int]) -> str:
    """Return the text of `ids`; special tokens appear by their names."""
    decoder = self._backend.decoder
    tokens = [self.tokens[int(id_)] for id_ in ids]
    return decoder.decode(tokens) if decoder else "".join(tokens)

  def continues(self, token: str) -> bool:
    """Return whether a token continues the word before it.

    A token that begins with white space, or in a script without spaces between
    words, begins a word; so does an added one. One of a single byte does not.
    """
    first = token[:1] or SPACE
    begins = first == SPACE or first.isspace() or is_unspaced(first)
    return not begins and token not in self._beside

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    save_huggingface(target, self, self.make_backend())
    # The library writes scores that differ in the last digit from those that
    # it read.
    path = target / TOKENIZER_FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["vocab"] = json.loads(self.pieces.model)["vocab"]
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

  def __reduce__(self) -> tuple[object, ...]:
    return Metaspace, (self.pieces,)


def _hide(model: dict[str, Any], pieces: Pieces) -> None:
  """Rename special tokens in a model, and add the tokens that it lacks."""
  # No word has a space in it.
  hidden = [f" {t}" if t in pieces.specials else t for t in pieces.tokens]
  if model["type"] == "BPE":
    model["vocab"] = {token: id_ for id_, token in enumerate(hidden)}
    if model.get("unk_token") in pieces.specials:
      model["unk_token"] = f" {model['unk_token']}"
    return
  scores = [score for _, score in model["vocab"]]
  scores += [0.0] * (len(hidden) - len(scores))
  model["vocab"] = [*map(list, zip(hidden, scores, strict=True))]
