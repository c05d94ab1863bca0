# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece models of fairseq, whose ids are not those of their tokens.

XLM-R and CamemBERT count their special tokens first, and the pieces of
sentencepiece.bpe.model from there. What the model says becomes the
tokenizer.json that transformers makes of it.
"""

import json
import pathlib
from typing import Any

from google.protobuf.message import DecodeError
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from data_pipelines.tokenizers.huggingface_template import make_processor
from data_pipelines.tokenizers.sentencepiece_backend import PROTOS, SPACE
from data_pipelines.tokenizers.template import Template

FAIRSEQ_FILE = "sentencepiece.bpe.model"
_MASK = "<mask>"
_FIRST = ("<unk>", "<s>", "</s>")  # pieces of both models
_UNKNOWN = 3
# The tokens before the pieces, with their scores, and the first piece that
# follows them (transformers, convert_slow_tokenizer.py: XLMRobertaConverter,
# CamembertConverter).
_XLM_R = (("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)), 3
_CAMEMBERT = (
  (
    *(("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0)),
    *(("<unk>", 0.0), ("<unk>NOTUSED", -100.0)),
  ),
  1,
)


def read_fairseq(path: pathlib.Path, *, is_camembert: bool) -> dict[str, Any]:
  """Return the content of a tokenizer.json that does what a model says.

  Args:
    path: the sentencepiece.bpe.model.
    is_camembert: whether the ids are CamemBERT's and not XLM-R's.

  Raises:
    ValueError: not a model of these two.
  """
  parsed = PROTOS.ModelProto()
  try:
    parsed.ParseFromString(path.read_bytes())
  except DecodeError:
    parsed.Clear()
  first = tuple(entry.piece for entry in parsed.pieces[: len(_FIRST)])
  kind = parsed.trainer_spec.model_type
  if first != _FIRST or kind != PROTOS.TrainerSpec.UNIGRAM:
    raise ValueError(
      f"{path} is no unigram model of SentencePiece that begins with "
      f"{' '.join(_FIRST)}, as XLM-R's and CamemBERT's are; give the "
      "tokenizer.json that save_pretrained of transformers writes"
    )
  before, skipped = _CAMEMBERT if is_camembert else _XLM_R
  scores = [*before]
  scores += [(entry.piece, entry.score) for entry in parsed.pieces[skipped:]]
  scores.append((_MASK, 0.0))
  backend = Backend(models.Unigram(scores, _UNKNOWN, byte_fallback=False))
  if charsmap := parsed.normalizer_spec.precompiled_charsmap:
    backend.normalizer = normalizers.Precompiled(charsmap)
  backend.pre_tokenizer = pre_tokenizers.Sequence(
    [
      pre_tokenizers.WhitespaceSplit(),
      pre_tokenizers.Metaspace(SPACE, prepend_scheme="always"),
    ]
  )
  backend.decoder = decoders.Metaspace(SPACE, prepend_scheme="always")
  tokens = [token for token, _ in scores]
  template = Template.doubled(tokens.index("<s>"), tokens.index("</s>"))
  backend.post_processor = make_processor(template, tokens)
  content = json.loads(backend.to_str())
  content["model"]["vocab"] = scores
  mask = {"content": _MASK, "special": True, "lstrip": True}
  content["added_tokens"] = [{"id": len(tokens) - 1, **mask}]
  return content
