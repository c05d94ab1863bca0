# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's models in flax.linen; `bert.py` is the file to open first.

Axis letters, suffixed to every array of rank >= 1 and used in every einsum:
B rows, S sequence, T sequence attended to, P prediction slots, R packed
examples a row, D width, H heads, K per-head width, F feed-forward width,
V vocabulary, C classes, L layers (the scan axis).

Parameters carry logical axis names (batch length embed heads kv mlp vocab
layers); this package never imports `parallel`, which maps them to a mesh.
Three dtypes are explicit: parameters, softmax, layer-norm statistics, logits
and losses are float32, everything between has `ComputeConfig.dtype`.
"""

from bertjax.model.bert import (
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
)

__all__ = [
  "BertForPreTraining",
  "BertForQuestionAnswering",
  "BertForSequenceClassification",
  "BertForTokenClassification",
]
