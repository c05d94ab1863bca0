# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The names of parameters in an ONNX graph, whatever family they are of.

They are BERT's in transformers, and more for what BERT does not have.
"""

from bertjax.interop.families.bert import BERT
from bertjax.interop.table import Entry, dense, layers, norm

TABLE: tuple[Entry, ...] = (
  *BERT.table,
  *dense("encoder/embeddings/projection", "bert.embeddings.projection"),
  *layers("bert.encoder.layer", mlp_gate="intermediate.gate"),
  *norm("encoder/final_layer_norm", "bert.encoder.LayerNorm"),
  *norm("pooler/layer_norm", "bert.pooler.LayerNorm"),
)
