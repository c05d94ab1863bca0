# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece models behind the same interface as WordPiece."""

import collections
import hashlib
import io
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from tokenizers import Tokenizer as Backend

from data_pipelines.tokenizers import words
from data_pipelines.tokenizers.pieces import (
  CLS,
  MASK,
  PAD,
  SEP,
  UNK,
  Tokenizer,
  find_specials,
  save_exchange,
)
from data_pipelines.tokenizers.sentencepiece_exchange import (
  KINDS,
  PROTOS,
  SPACE,
  find_gap,
  make_backend,
)

MODEL_FILE = "spiece.model"
# What published models call the special pieces: ALBERT, XLNet, T5.
_NAMES = (
  (PAD, "<pad>"),
  (UNK, "<unk>"),
  (CLS, "<cls>", "<s>"),
  (SEP, "<sep>", "</s>"),
  (MASK, "<mask>"),
)
_FOLDING = ("nmt_nfkc_cf", "nfkc_cf")
_MAX_LINE = 1 << 20  # bytes; the library drops longer ones, by default 4,192
# Bytes of running words: the library finds a unigram model's first pieces in a
# suffix array over them, and takes 13 bytes for each. And characters of
# distinct words with `words.WORD_COST`: for a BPE model it takes up to 140
# bytes for each, in Chinese.
_VOLUME = {"unigram": 36_000_000, "bpe": None}
_MAX_LEARNT = {"unigram": 8_000_000, "bpe": 4_000_000}
# Sums of so rounded scores are exact in 32 bits, so that two ways to cut a
# text are equally likely for every program, or for none.
_SCORES_A_NAT = 256


class SentencePiece(Tokenizer):
  """Pieces of running text, spaces included."""

  name = "sentencepiece"

  def __init__(self, model: bytes, *, origin: str = "the model") -> None:
    """Take a serialised model.

    Raises:
      ValueError: not a model, or one without the special pieces.
    """
    parsed = PROTOS.ModelProto()
    try:
      parsed.ParseFromString(model)
      pieces = [entry.piece for entry in parsed.pieces]
      self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except (DecodeError, RuntimeError):
      raise ValueError(f"{origin} is no SentencePiece model") from None
    specials = find_specials(pieces, _NAMES, origin)
    super().__init__(pieces, specials, origin)
    for id_ in specials:
      # "[MASK]" in a text is letters, whatever the model was told of it.
      if parsed.pieces[id_].type == KINDS.USER_DEFINED:
        parsed.pieces[id_].type = KINDS.CONTROL
    self._processor.load_from_serialized_proto(parsed.SerializeToString())
    self._model, self._parsed = model, parsed
    self.lowercase = parsed.normalizer_spec.name in _FOLDING
    self.sha256 = hashlib.sha256(b"sentencepiece\n" + model).hexdigest()
    self.no_exchange = find_gap(parsed)

  def _kind(self, id_: int) -> int:
    return self._parsed.pieces[id_].type

  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids of all texts in a row (int32), and each text's number (int64)."""
    plain = [text.encode(errors="ignore").decode() for text in texts]
    encoded = self._processor.encode(plain, num_threads=1)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    ids = (id_ for sentence in encoded for id_ in sentence)
    return np.fromiter(ids, np.int32, int(lengths.sum())), lengths

  def decode(self, ids: Iterable[int]) -> str:
    """Text of `ids`; special pieces are written as they are called."""
    data = b"".join(map(self._bytes, map(int, ids)))
    return data.decode(errors="replace").replace(SPACE, " ").strip()

  def _bytes(self, id_: int) -> bytes:
    piece = self.pieces[id_]
    if self._kind(id_) == KINDS.BYTE:
      return bytes.fromhex(piece[3:5])  # <0x0A>
    return f"{SPACE if self.is_special(id_) else ''}{piece}".encode()

  def is_special(self, id_: int) -> bool:
    """Whether the piece stands for no text."""
    return super().is_special(id_) or self._kind(id_) in (
      KINDS.CONTROL,
      KINDS.UNUSED,
    )

  def continues(self, piece: str) -> bool:
    """Whether a piece goes on with the word before it."""
    return not piece.startswith(SPACE)

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write spiece.model, tokenizer.json and tokenizer_config.json.

    The latter two only where `no_exchange` is empty.
    """
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / MODEL_FILE).write_bytes(self._model)
    if not self.no_exchange:
      save_exchange(target, self, self.make_backend())

  def make_backend(self) -> Backend:
    """The same pieces through `tokenizers`; see `sentencepiece_exchange`."""
    return make_backend(self._parsed, self.unk_id)

  def __reduce__(self) -> tuple[object, ...]:
    return SentencePiece, (self._model,)


def load_sentencepiece(path: pathlib.Path) -> SentencePiece:
  """Read a spiece.model.

  Raises:
    ValueError: not a model, or one without the special pieces.
  """
  return SentencePiece(path.read_bytes(), origin=str(path))


def train_sentencepiece(
  texts: Iterable[str],
  vocab_size: int,
  *,
  model_type: str = "unigram",
  lowercase: bool = True,
) -> SentencePiece:
  """Learn a model of `vocab_size` pieces from words and their counts.

  Args:
    texts: what to learn from.
    vocab_size: pieces wanted, special ones included.
    model_type: "unigram" or "bpe".
    lowercase: whether case is folded; compatibility forms always are.

  Raises:
    ValueError: the text is too small, or has too many letters, for the size.
  """
  counts = words.commonest(
    words.count_words(texts, str.split, volume=_VOLUME[model_type]),
    _MAX_LEARNT[model_type],
  )
  model = io.BytesIO()
  try:
    sentencepiece.SentencePieceTrainer.train(
      sentence_iterator=_listed(counts),
      input_format="tsv",
      model_writer=model,
      vocab_size=vocab_size,
      model_type=model_type,
      normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",
      max_sentence_length=_MAX_LINE,
      pad_id=0,
      pad_piece=PAD,
      unk_id=1,
      unk_piece=UNK,
      bos_id=2,
      bos_piece=CLS,
      eos_id=3,
      eos_piece=SEP,
      # Control pieces are never found in a text, unlike user-defined ones.
      control_symbols=[MASK],
      # The pieces depend on the number of threads.
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
    entry.score = round(entry.score * _SCORES_A_NAT) / _SCORES_A_NAT
  return SentencePiece(parsed.SerializeToString(deterministic=True))


def _listed(counts: collections.Counter[str]) -> Iterator[str]:
  """Lines of a word and its count; the iterator empties `counts`."""
  for word in sorted(counts):
    plain = word.encode(errors="ignore").decode()
    if plain:
      yield f"{plain}\t{counts.pop(word)}"
