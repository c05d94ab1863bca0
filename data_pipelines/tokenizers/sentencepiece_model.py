# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece tokenizers: load a model or learn one."""

import collections
import functools
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from tokenizers import Tokenizer as Backend

from bertjax.files import write_bytes
from data_pipelines.tokenizers import word_counts
from data_pipelines.tokenizers.added_tokens import AddedToken
from data_pipelines.tokenizers.huggingface_export import save_huggingface
from data_pipelines.tokenizers.scripts import is_unspaced
from data_pipelines.tokenizers.sentencepiece_backend import (
  PIECE_TYPES,
  PROTOS,
  SPACE,
  find_obstacle,
  make_backend,
)
from data_pipelines.tokenizers.special_tokens import (
  CLS,
  MASK,
  PAD,
  SEP,
  UNK,
  find_special_ids,
)
from data_pipelines.tokenizers.template import Template
from data_pipelines.tokenizers.tokenizer import EncodedText, Tokenizer

MODEL_FILE = "spiece.model"
# Names of the special tokens, also in published models (ALBERT, XLNet, T5).
_NAMES = (
  (PAD, "<pad>"),
  (UNK, "<unk>"),
  (CLS, "<cls>", "<s>"),
  (SEP, "<sep>", "</s>"),
  (MASK, "<mask>"),
)
_FOLDING = ("nmt_nfkc_cf", "nfkc_cf")
_MAX_LINE = 1 << 20  # bytes; the library drops longer lines, by default 4,192
# Bytes of running words: the library finds the first pieces of a unigram model
# in a suffix array over them, which takes 13 bytes for each.
_VOLUME = {"unigram": 36_000_000, "bpe": None}
# Characters of distinct words, counted with `word_counts.WORD_COST`: for a BPE
# model the library takes up to 140 bytes for each, in Chinese text.
_MAX_CHARACTERS = {"unigram": 8_000_000, "bpe": 4_000_000}
# Scores are rounded to multiples of 1/256. Sums of such scores are exact in
# float32, so that all programs agree on which segmentations are equally likely.
_SCORES_PER_NAT = 256


class SentencePiece(Tokenizer):
  """Tokens of running text, spaces included."""

  name = "sentencepiece"
  space = SPACE

  def __init__(
    self,
    model: bytes,
    *,
    template: Template | None = None,
    origin: str = "the model",
  ) -> None:
    """Make a tokenizer from the bytes of a spiece.model.

    Args:
      model: the bytes.
      template: the special tokens around texts; None has BERT's.
      origin: where the model comes from, for messages.

    Raises:
      ValueError: not a model, or a model that lacks a special token.
    """
    parsed = PROTOS.ModelProto()
    try:
      parsed.ParseFromString(model)
      tokens = [entry.piece for entry in parsed.pieces]
      self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except (DecodeError, RuntimeError):
      raise ValueError(
        f"{origin} is not a SentencePiece model; give a spiece.model"
      ) from None
    specials = find_special_ids(tokens, _NAMES, origin)
    super().__init__(tokens, specials, origin)
    for id_ in specials:
      # "[MASK]" in a text is plain text, whatever the type in the model is.
      if parsed.pieces[id_].type == PIECE_TYPES.USER_DEFINED:
        parsed.pieces[id_].type = PIECE_TYPES.CONTROL
    self._processor.load_from_serialized_proto(parsed.SerializeToString())
    self._model, self._parsed = model, parsed
    form = parsed.normalizer_spec.name
    self.lowercase = form in _FOLDING
    self.normalization = "nfkc" if "nfkc" in form else "none"
    parts = b"sentencepiece\n" + model
    if template and template != self.template:
      # Those of BERT's are known without it, as when there were no others.
      self.template = template
      parts += json.dumps(template.to_json(), sort_keys=True).encode()
    self.sha256 = hashlib.sha256(parts).hexdigest()
    self.export_obstacle = find_obstacle(parsed)

  @classmethod
  def read(
    cls,
    model: bytes,
    settings: Mapping[str, Any],
    *,
    added: Sequence[AddedToken] = (),
    origin: str,
  ) -> Self:
    """Make the tokenizer that files of transformers describe.

    Args:
      model: the bytes of a spiece.model.
      settings: the content of tokenizer_config.json; only subclasses have rules
        beside the model.
      added: tokens that are matched before words are cut; only a
        `LibraryTokenizer` takes any.
      origin: where the model comes from, for messages.

    Raises:
      ValueError: this class cannot take the model.
    """
    del settings
    assert not added
    return cls(model, origin=origin)

  def _type(self, id_: int) -> int:
    if id_ >= len(self._parsed.pieces):  # one beside the model
      return PIECE_TYPES.NORMAL
    return self._parsed.pieces[id_].type

  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated ids of all texts, and the length of each."""
    plain = [text.encode(errors="ignore").decode() for text in texts]
    encoded = self._processor.encode(plain, num_threads=1)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    ids = (id_ for sentence in encoded for id_ in sentence)
    return np.fromiter(ids, np.int32, int(lengths.sum())), lengths

  def _encode_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
    """Return ids and offsets.

    The white space before a word is part of its first token, but none of the
    characters of that token. Of the tokens of one character, the last one has
    it.
    """
    if not hasattr(self._processor, "encode_as_offset_mapping"):
      raise ValueError(
        f"sentencepiece {sentencepiece.__version__} does not say where tokens "
        "stand in a text; install sentencepiece 0.2.3 or newer"
      )
    return [self._encode_text(text) for text in texts]

  def _encode_text(self, text: str) -> EncodedText:
    found = self._processor.encode_as_offset_mapping(text)
    offsets_T2 = np.asarray(found["offsets"], np.int64).reshape(-1, 2)
    for offset_2 in offsets_T2:
      while offset_2[0] < offset_2[1] and text[offset_2[0]].isspace():
        offset_2[0] += 1
    return EncodedText(np.asarray(found["ids"], np.int32), offsets_T2)

  def decode(self, ids: Iterable[int]) -> str:
    """Return the text of `ids`; special tokens appear by their names."""
    data = b"".join(map(self._bytes, map(int, ids)))
    return data.decode(errors="replace").replace(SPACE, " ").strip()

  def _bytes(self, id_: int) -> bytes:
    token = self.tokens[id_]
    if self._type(id_) == PIECE_TYPES.BYTE:
      return bytes.fromhex(token[3:5])  # <0x0A>
    return f"{SPACE if self.is_special(id_) else ''}{token}".encode()

  def is_special(self, id_: int) -> bool:
    """Return whether the token stands for no text."""
    return super().is_special(id_) or self._type(id_) in (
      PIECE_TYPES.CONTROL,
      PIECE_TYPES.UNUSED,
    )

  def continues(self, token: str) -> bool:
    """Return whether a token continues the word before it.

    In scripts without spaces between words, each token begins one.
    """
    return not token.startswith(SPACE) and not _begins_unspaced(token)

  def words_version(self, token_counts: np.ndarray) -> int:
    """Return 2 where a text has tokens that continued words in version 1."""
    found = np.flatnonzero(token_counts)
    return 2 if any(_begins_unspaced(self.tokens[id_]) for id_ in found) else 1

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write spiece.model, tokenizer.json and tokenizer_config.json.

    The two JSON files are written only if `export_obstacle` is empty.
    """
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    write_bytes(target / MODEL_FILE, self._model)
    if not self.export_obstacle:
      save_huggingface(target, self, self.make_backend())

  @property
  def model(self) -> bytes:
    """The bytes of its spiece.model."""
    return self._model

  def make_backend(self) -> Backend:
    """Return a Hugging Face backend; see `sentencepiece_backend`."""
    return make_backend(self._parsed, self.unk_id)

  def __reduce__(self) -> tuple[object, ...]:
    make = functools.partial(SentencePiece, template=self.template)
    return make, (self._model,)


def _begins_unspaced(token: str) -> bool:
  return is_unspaced(token[:1] or SPACE)


def train_sentencepiece(
  texts: Iterable[str],
  vocab_size: int,
  *,
  model_type: str = "unigram",
  lowercase: bool = True,
  normalize: bool = True,
) -> SentencePiece:
  """Learn a model of `vocab_size` tokens from words and their counts.

  Args:
    texts: documents to learn from.
    vocab_size: number of tokens, special tokens included.
    model_type: "unigram" or "bpe".
    lowercase: whether to fold case; needs `normalize`.
    normalize: whether to fold Unicode compatibility forms (NFKC).

  Raises:
    ValueError: the text is too small for `vocab_size`, or has too many
      letters.
  """
  counts = word_counts.commonest(
    word_counts.count_words(texts, str.split, volume=_VOLUME[model_type]),
    _MAX_CHARACTERS[model_type],
  )
  form = "nmt_nfkc_cf" if lowercase else "nmt_nfkc"
  model = io.BytesIO()
  try:
    sentencepiece.SentencePieceTrainer.train(
      sentence_iterator=_listed(counts),
      input_format="tsv",
      model_writer=model,
      vocab_size=vocab_size,
      model_type=model_type,
      normalization_rule_name=form if normalize else "identity",
      max_sentence_length=_MAX_LINE,
      pad_id=0,
      pad_piece=PAD,
      unk_id=1,
      unk_piece=UNK,
      bos_id=2,
      bos_piece=CLS,
      eos_id=3,
      eos_piece=SEP,
      # Unlike user-defined pieces, control pieces never match a text.
      control_symbols=[MASK],
      # The learned pieces depend on the number of threads.
      num_threads=1,
      minloglevel=2,
    )
  except RuntimeError as error:
    reason = str(error).strip().splitlines()[-1].rpartition("] ")[2]
    raise ValueError(
      f"vocab_size={vocab_size} does not fit this text ({reason}); give another"
    ) from None
  parsed = PROTOS.ModelProto()
  parsed.ParseFromString(model.getvalue())
  for entry in parsed.pieces:
    entry.score = round(entry.score * _SCORES_PER_NAT) / _SCORES_PER_NAT
  return SentencePiece(parsed.SerializeToString(deterministic=True))


def _listed(counts: collections.Counter[str]) -> Iterator[str]:
  """Yield lines of a word and its count, removing each from `counts`."""
  for word in sorted(counts):
    plain = word.encode(errors="ignore").decode()
    if plain:
      yield f"{plain}\t{counts.pop(word)}"
