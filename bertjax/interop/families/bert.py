# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of BERT in transformers (Devlin et al., 2018)."""

from bertjax.interop.architectures import (
  CLASSIFICATION,
  MULTIPLE_CHOICE,
  NEXT_SENTENCE,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.family import Family, HeadRate, classes
from bertjax.interop.table import Entry, dense, encoder_of_bert, norm

BERT = Family(
  title="BERT",
  model_type="bert",
  classes={
    **classes("Bert", "ForPreTraining"),
    NEXT_SENTENCE: "BertForNextSentencePrediction",
  },
  prefix="bert.",
  bare=("embeddings.", "encoder.", "pooler."),
  table=(
    *encoder_of_bert("bert"),
    *dense("mlm_head/dense", "cls.predictions.transform.dense"),
    *norm("mlm_head/layer_norm", "cls.predictions.transform.LayerNorm"),
    Entry("mlm_head/bias", "cls.predictions.bias"),
    *dense("pair_head/dense", "cls.seq_relationship"),
    # The classifier of sequences and that of tokens have the same name.
    *dense("classifier/dense", "classifier"),
    *dense("span_head/dense", "qa_outputs"),
  ),
  tied={
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
  },
  # Of transformers before 4.31.
  buffers=("bert.embeddings.position_ids",),
  has_pooler=True,
  varies={"type_vocab_size": lambda value: value > 0},
  head_rates={
    "classifier_dropout": HeadRate(
      (CLASSIFICATION, TOKEN_CLASSIFICATION, MULTIPLE_CHOICE)
    )
  },
  activations={"gelu": "gelu", "gelu_tanh": "gelu_new"},
)
