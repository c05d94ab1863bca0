# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rebuild a SentencePiece model with Hugging Face `tokenizers`.

The ids are equal with three exceptions: a combining mark is lost behind a
normalized character that has no composed form with it; "<0x41>" in a text is
a byte to a unigram model with byte pieces; and if two segmentations of a text
are equally likely, a unigram model that was not learned here may choose the
other one.
"""

import re
from typing import Any

from sentencepiece import sentencepiece_model_pb2
from tokenizers import (
  Regex,
  Tokenizer,
  decoders,
  models,
  normalizers,
  pre_tokenizers,
)

SPACE = "▁"
PROTOS: Any = sentencepiece_model_pb2  # its classes are made at import
PIECE_TYPES = PROTOS.ModelProto.SentencePiece
_UNIGRAM, _BPE, _CHAR = (
  PROTOS.TrainerSpec.UNIGRAM,
  PROTOS.TrainerSpec.BPE,
  PROTOS.TrainerSpec.CHAR,
)


def find_obstacle(parsed: Any) -> str:
  """Return why `make_backend` cannot give equal ids; empty if it can.

  Args:
    parsed: a `PROTOS.ModelProto`.
  """
  kind, spec = parsed.trainer_spec.model_type, parsed.normalizer_spec
  if kind not in (_UNIGRAM, _BPE, _CHAR):
    return "it is neither a unigram nor a BPE model"
  if not spec.escape_whitespaces:
    return "its spaces are not escaped"
  if parsed.trainer_spec.treat_whitespace_as_suffix:
    return "its spaces stand at the end of words"
  if spec.precompiled_charsmap:
    rules = normalizers.Precompiled(spec.precompiled_charsmap)
    for piece in _user_defined(parsed):
      if rules.normalize_str(piece) != piece:
        return f"its user-defined {piece!r} would be normalized"
  return ""


def make_backend(parsed: Any, unk_id: int) -> Tokenizer:
  """Return a backend that gives the ids of a SentencePiece model.

  Args:
    parsed: a `PROTOS.ModelProto` for which `find_obstacle` returns "".
    unk_id: id of its unknown piece.
  """
  if parsed.trainer_spec.model_type == _UNIGRAM:
    backend = Tokenizer(_make_unigram(parsed, unk_id))
  else:
    backend = Tokenizer(_make_bpe(parsed, unk_id))
    fixed = sorted(map(re.escape, _user_defined(parsed)), key=len, reverse=True)
    if fixed:
      backend.pre_tokenizer = pre_tokenizers.Split(
        Regex("|".join(fixed)), "isolated"
      )
  backend.normalizer, backend.decoder = _make_rules(parsed.normalizer_spec)
  return backend


def _make_rules(spec: Any) -> tuple[normalizers.Normalizer, decoders.Decoder]:
  steps: list[normalizers.Normalizer] = []
  after: list[decoders.Decoder] = [
    decoders.Replace(SPACE, " "),
    decoders.ByteFallback(),
    decoders.Fuse(),
  ]
  if spec.precompiled_charsmap:
    steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
  if spec.remove_extra_whitespaces:
    # SentencePiece also strips a literal "▁" at the end of a text.
    ends = Regex(rf"\A +|[ {SPACE}]+\z")
    steps.append(normalizers.Replace(ends, ""))
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
  if spec.add_dummy_prefix:
    # Not Metaspace, which adds no prefix to a text that starts with "▁".
    steps.append(normalizers.Prepend(SPACE))
    after.append(decoders.Strip(" ", 1, 0))
  # The text is not split into words, because neighboring unknown characters
  # become one piece even across a space.
  steps.append(normalizers.Replace(" ", SPACE))
  return normalizers.Sequence(steps), decoders.Sequence(after)


def _make_unigram(parsed: Any, unk_id: int) -> models.Unigram:
  best = max(e.score for e in parsed.pieces if e.type == PIECE_TYPES.NORMAL)
  scores = [
    (
      entry.piece,
      # See EncodeOptimized in unigram_model.cc of sentencepiece.
      len(entry.piece.encode()) * best - 0.1
      if entry.type == PIECE_TYPES.USER_DEFINED
      else entry.score,
    )
    for entry in parsed.pieces
  ]
  return models.Unigram(scores, unk_id, parsed.trainer_spec.byte_fallback)


def _make_bpe(parsed: Any, unk_id: int) -> models.BPE:
  """Rank merges by the score of the piece that two neighbors make."""
  rank = {
    entry.piece: (-entry.score, id_)
    for id_, entry in enumerate(parsed.pieces)
    if entry.type == PIECE_TYPES.NORMAL
  }
  merges = sorted(
    (rank[piece], piece[:cut], piece[cut:])
    for piece in rank
    for cut in range(1, len(piece))
    if piece[:cut] in rank and piece[cut:] in rank
  )
  return models.BPE(
    {entry.piece: id_ for id_, entry in enumerate(parsed.pieces)},
    [(left, right) for _, left, right in merges],
    unk_token=parsed.pieces[unk_id].piece,
    fuse_unk=True,
    byte_fallback=parsed.trainer_spec.byte_fallback,
    # User-defined pieces are matched whole; no merges make them.
    ignore_merges=bool(_user_defined(parsed)),
  )


def _user_defined(parsed: Any) -> list[str]:
  return [e.piece for e in parsed.pieces if e.type == PIECE_TYPES.USER_DEFINED]
