# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The one table: our parameters and transformers' names for them."""

import dataclasses
import re
from collections.abc import Collection, Iterator
from typing import Any

from bertjax.config import ModelConfig

_LAYER = re.compile(r"\bL\b")


@dataclasses.dataclass(frozen=True)
class Entry:
  """One parameter: our path, their name (`L` a layer), and input axes.

  `inputs` counts the leading axes of our kernel that are its input, which
  torch flattens and puts last; 0 keeps the order (biases, scales, tables).
  """

  ours: str
  theirs: str
  inputs: int = 0

  @property
  def part(self) -> str:
    """What it belongs to, such as "encoder" or "mlm_head"."""
    return self.ours.partition("/")[0]


def _dense(ours: str, theirs: str, inputs: int = 1) -> list[Entry]:
  return [
    Entry(f"{ours}/kernel", f"{theirs}.weight", inputs),
    Entry(f"{ours}/bias", f"{theirs}.bias"),
  ]


def _norm(ours: str, theirs: str) -> list[Entry]:
  return [
    Entry(f"{ours}/scale", f"{theirs}.LayerNorm.weight"),
    Entry(f"{ours}/bias", f"{theirs}.LayerNorm.bias"),
  ]


_IN, _OURS = "bert.encoder.layer.L", "encoder/layers"
TABLE: tuple[Entry, ...] = (
  *(
    Entry(
      f"encoder/embeddings/{ours}/embedding",
      f"bert.embeddings.{theirs}_embeddings.weight",
    )
    for ours, theirs in (
      ("word", "word"),
      ("position", "position"),
      ("type", "token_type"),
    )
  ),
  *_norm("encoder/embeddings/layer_norm", "bert.embeddings"),
  *_dense(f"{_OURS}/attention/query", f"{_IN}.attention.self.query"),
  *_dense(f"{_OURS}/attention/key", f"{_IN}.attention.self.key"),
  *_dense(f"{_OURS}/attention/value", f"{_IN}.attention.self.value"),
  *_dense(f"{_OURS}/attention/out", f"{_IN}.attention.output.dense", 2),
  *_norm(f"{_OURS}/attention_layer_norm", f"{_IN}.attention.output"),
  *_dense(f"{_OURS}/mlp_up", f"{_IN}.intermediate.dense"),
  *_dense(f"{_OURS}/mlp_down", f"{_IN}.output.dense"),
  *_norm(f"{_OURS}/mlp_layer_norm", f"{_IN}.output"),
  *_dense("pooler/dense", "bert.pooler.dense"),
  *_dense("mlm_head/dense", "cls.predictions.transform.dense"),
  *_norm("mlm_head/layer_norm", "cls.predictions.transform"),
  Entry("mlm_head/bias", "cls.predictions.bias"),
  *_dense("pair_head/dense", "cls.seq_relationship"),
  # Of sequences and of tokens alike.
  *_dense("classifier/dense", "classifier"),
  *_dense("span_head/dense", "qa_outputs"),
)
# Copies that some files carry of tensors in the table, by the original.
TIED = {
  "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
  "cls.predictions.decoder.bias": "cls.predictions.bias",
}
# A buffer of transformers before 4.31, no parameter.
BUFFERS = ("bert.embeddings.position_ids",)


def pairs(
  config: ModelConfig, parts: Collection[str]
) -> Iterator[tuple[Entry, Any, str]]:
  """Each entry of `parts` with our index and their name, layer by layer."""
  for entry in TABLE:
    if entry.part not in parts:
      continue
    if _LAYER.search(entry.theirs):
      for layer in range(config.num_layers):
        yield entry, layer, _LAYER.sub(str(layer), entry.theirs)
    else:
      yield entry, ..., entry.theirs
