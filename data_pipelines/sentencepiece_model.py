# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece models behind the same interface as WordPiece."""

import hashlib
import io
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (
  Regex,
  decoders,
  models,
  normalizers,
  pre_tokenizers,
)
from tokenizers import Tokenizer as Backend

from data_pipelines.pieces import (
  CLS,
  MASK,
  PAD,
  SEP,
  UNK,
  Tokenizer,
  find_specials,
  save_exchange,
)

MODEL_FILE = "spiece.model"
_SPACE = "▁"
# What published models call the special pieces: ALBERT, XLNet, T5.
_NAMES = (
  (PAD, "<pad>"),
  (UNK, "<unk>"),
  (CLS, "<cls>", "<s>"),
  (SEP, "<sep>", "</s>"),
  (MASK, "<mask>"),
)
_PROTOS: Any = sentencepiece_model_pb2  # its classes are made at import
_UNIGRAM = _PROTOS.TrainerSpec.UNIGRAM
_FOLDING = ("nmt_nfkc_cf", "nfkc_cf")
_MAX_LINE = 1 << 20  # bytes; the library drops longer ones, by default 4,192


class SentencePiece(Tokenizer):
  """Pieces of running text, spaces included."""

  name = "sentencepiece"

  def __init__(self, model: bytes, *, origin: str = "the model") -> None:
    """Take a serialised model.

    Raises:
      ValueError: not a model, or one without the special pieces.
    """
    try:
      self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError:
      raise ValueError(f"{origin} is no SentencePiece model") from None
    size = self._processor.get_piece_size()
    pieces = [self._processor.id_to_piece(id_) for id_ in range(size)]
    super().__init__(pieces, find_specials(pieces, _NAMES, origin), origin)
    self._model = model
    self._parsed = _PROTOS.ModelProto()
    self._parsed.ParseFromString(model)
    self.lowercase = self._parsed.normalizer_spec.name in _FOLDING
    self.sha256 = hashlib.sha256(b"sentencepiece\n" + model).hexdigest()

  def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids of all texts in a row (int32), and each text's number (int64)."""
    plain = [text.encode(errors="ignore").decode() for text in texts]
    encoded = self._processor.encode(plain, num_threads=1)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    ids = (id_ for sentence in encoded for id_ in sentence)
    return np.fromiter(ids, np.int32, int(lengths.sum())), lengths

  def decode(self, ids: Iterable[int]) -> str:
    """Text of `ids`; special pieces are written as they are called."""
    text = "".join(
      f"{_SPACE}{self.pieces[id_]}"
      if self.is_special(id_)
      else self.pieces[id_]
      for id_ in map(int, ids)
    )
    return text.replace(_SPACE, " ").strip()

  def is_special(self, id_: int) -> bool:
    """Whether the piece stands for no text."""
    return super().is_special(id_) or self._processor.is_control(id_)

  def continues(self, piece: str) -> bool:
    """Whether a piece goes on with the word before it."""
    return not piece.startswith(_SPACE)

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Write spiece.model, tokenizer.json and tokenizer_config.json."""
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / MODEL_FILE).write_bytes(self._model)
    if self._parsed.trainer_spec.model_type == _UNIGRAM:
      save_exchange(target, self, self._make_backend())

  def _make_backend(self) -> Backend:
    scores = [(entry.piece, entry.score) for entry in self._parsed.pieces]
    backend = Backend(models.Unigram(scores, self.unk_id, False))
    charsmap = self._parsed.normalizer_spec.precompiled_charsmap
    steps = [normalizers.Precompiled(charsmap)] if charsmap else []
    if self._parsed.normalizer_spec.remove_extra_whitespaces:
      steps += [
        normalizers.Strip(),
        normalizers.Replace(Regex(" {2,}"), " "),
      ]
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(
      replacement=_SPACE, prepend_scheme="always"
    )
    backend.decoder = decoders.Metaspace(
      replacement=_SPACE, prepend_scheme="always"
    )
    return backend

  def __reduce__(self) -> tuple[object, ...]:
    return SentencePiece, (self._model,)


def load_sentencepiece(path: pathlib.Path) -> SentencePiece:
  """Read a spiece.model.

  Raises:
    ValueError: not a model, or one without the special pieces.
  """
  return SentencePiece(path.read_bytes(), origin=str(path))


def train_sentencepiece(texts: Sequence[str], vocab_size: int) -> SentencePiece:
  """Learn an uncased unigram model of `vocab_size` pieces.

  Raises:
    ValueError: the text is too small, or has too many letters, for the size.
  """
  model = io.BytesIO()
  lines = (line for text in texts for line in text.split("\n") if line)
  try:
    sentencepiece.SentencePieceTrainer.train(
      sentence_iterator=lines,
      model_writer=model,
      vocab_size=vocab_size,
      model_type="unigram",
      normalization_rule_name="nmt_nfkc_cf",
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
  return SentencePiece(model.getvalue())
