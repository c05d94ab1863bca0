# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece models with other options than ours."""

import io

import sentencepiece

from data_pipelines.tokenizers.sentencepiece_model import SentencePiece


def learn_sentencepiece(texts, **options):
  """Learn a model whose special tokens have names as published ones have."""
  return SentencePiece(train_model(texts, **options))


def train_model(texts, **options):
  """Return the bytes of a model, which may lack special tokens."""
  model = io.BytesIO()
  settings = {
    **dict(normalization_rule_name="nmt_nfkc_cf", vocab_size=700),
    **dict(pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, minloglevel=2),
    "control_symbols": ["[CLS]", "[SEP]", "<mask>"],
    "hard_vocab_limit": False,
    **options,
  }
  sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_writer=model, **settings
  )
  return model.getvalue()
