# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder, its heads and their compositions, in flax.linen.

Axis letters, suffixed to every array of rank >= 1 and used in every einsum:
B rows, S sequence, T sequence attended to, P prediction slots, R packed
examples a row, D width, H heads, K per-head width, F feed-forward width,
V vocabulary, C classes, L layers (the scan axis).

Parameters carry logical axis names (batch length embed heads kv mlp vocab
layers); this package never imports `sharding`, which gives them a mesh.
Three dtypes are explicit: parameters, softmax, layer-norm statistics, logits
and losses are float32, everything between has `ComputeConfig.dtype`.
"""

from bertjax.model.classification import BertForSequenceClassification
from bertjax.model.pretraining import BertForPreTraining
from bertjax.model.question_answering import BertForQuestionAnswering
from bertjax.model.token_classification import BertForTokenClassification

__all__ = [
  "BertForPreTraining",
  "BertForQuestionAnswering",
  "BertForSequenceClassification",
  "BertForTokenClassification",
]
