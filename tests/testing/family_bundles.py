# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of every family with random weights, and with its tokenizer."""

import dataclasses

from bertjax.checkpoints import bundle as bundles
from bertjax.finetune.artifact import save_finetuned
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.albert import Cleaning, train_albert
from data_pipelines.tokenizers.wordpiece import WordPiece
from tests.testing import small
from tests.testing.byte_texts import LEARNED
from tests.testing.choices import CONFIGS
from tests.testing.huggingface_models import make_params

PRETRAINING = "BertForPreTraining"
TOKENIZERS = {
  "bert": lambda: WordPiece(small.TOKENS),
  "roberta": lambda: tokenizers.train(LEARNED, "roberta", 420),
  "distilbert": lambda: WordPiece(small.TOKENS),
  "albert": lambda: train_albert(LEARNED, 74, Cleaning()),
  "modernbert": lambda: tokenizers.train(LEARNED, "modernbert", 420),
}
# With dropout, which a folder says.
RATES = {"hidden_dropout_rate": 0.1, "attention_dropout_rate": 0.1}


def make_bundle(name, folder, head=None):
  """A bundle of the family with random weights."""
  tokenizer = TOKENIZERS[name]()
  (folder / "tokenizer").mkdir(parents=True)
  tokenizer.save(folder / "tokenizer")
  config = dataclasses.replace(
    CONFIGS[name],
    vocab_size=tokenizer.vocab_size,
    position_offset=tokenizer.pad_id + 1 if name == "roberta" else 0,
    **RATES,
  )
  path = folder / "bundle"
  if head is not None:
    params = make_params(head.architecture, config, head.outputs)
    save_finetuned(
      *(path, params, config, folder / "tokenizer", head),
      step=3,
      evaluation={},
    )
    return path
  bundles.write_bundle(
    path,
    make_params(PRETRAINING, config),
    config,
    folder / "tokenizer",
    bundles.Details(
      pooler_trained=config.pooler, tokenizer_sha256=tokenizer.sha256
    ),
  )
  return path
