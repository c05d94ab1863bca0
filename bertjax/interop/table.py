# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A table of names: one row for each parameter here and its tensor there."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from bertjax.config import ModelConfig
from bertjax.model.parameters import Parameter, find

# Stands in a name for the number of a layer, or of a group of layers.
_LAYER = ".L."


@dataclasses.dataclass(frozen=True)
class Entry:
  """One parameter: its path here, and its tensor there.

  Attributes:
    ours: its path.
    theirs: name of the tensor; `.L.` stands for the number of a layer.
    part: which of how many equal parts of the tensor's rows it is.
    lacking: layers that have no such tensor.
  """

  ours: str
  theirs: str
  part: tuple[int, int] = (0, 1)
  lacking: tuple[int, ...] = ()

  @property
  def row(self) -> Parameter:
    """The row of the parameter in PARAMETERS."""
    return find(self.ours)


def dense(ours: str, theirs: str, **more: Any) -> list[Entry]:
  """Return the rows of a product and its bias."""
  return [
    Entry(f"{ours}/kernel", f"{theirs}.weight", **more),
    Entry(f"{ours}/bias", f"{theirs}.bias", **more),
  ]


def norm(ours: str, theirs: str, **more: Any) -> list[Entry]:
  """Return the rows of the scale of a norm and of its bias."""
  return [
    Entry(f"{ours}/scale", f"{theirs}.weight", **more),
    Entry(f"{ours}/bias", f"{theirs}.bias", **more),
  ]


def tables(prefix: str, **theirs: str) -> list[Entry]:
  """Return the rows of embedding tables, by our names."""
  return [
    Entry(f"encoder/embeddings/{ours}/embedding", f"{prefix}.{name}.weight")
    for ours, name in theirs.items()
  ]


def layers(prefix: str, **theirs: str) -> list[Entry]:
  """Return the rows of a layer, by our names.

  `attention__query` is `attention/query`; what ends in `layer_norm` is a norm.
  """
  rows: list[Entry] = []
  for ours, name in theirs.items():
    make = norm if ours.endswith("layer_norm") else dense
    path = f"encoder/layers/{ours.replace('__', '/')}"
    rows += make(path, f"{prefix}.L.{name}")
  return rows


def encoder_of_bert(prefix: str) -> list[Entry]:
  """Return the rows of an encoder and its pooler, named as BERT's are."""
  return [
    *tables(
      f"{prefix}.embeddings",
      word="word_embeddings",
      position="position_embeddings",
      type="token_type_embeddings",
    ),
    *norm("encoder/embeddings/layer_norm", f"{prefix}.embeddings.LayerNorm"),
    *layers(
      f"{prefix}.encoder.layer",
      attention__query="attention.self.query",
      attention__key="attention.self.key",
      attention__value="attention.self.value",
      attention__out="attention.output.dense",
      attention_layer_norm="attention.output.LayerNorm",
      mlp_up="intermediate.dense",
      mlp_down="output.dense",
      mlp_layer_norm="output.LayerNorm",
    ),
    *dense("pooler/dense", f"{prefix}.pooler.dense"),
  ]


def pairs(
  table: Iterable[Entry], config: ModelConfig, parts: Collection[str]
) -> Iterator[tuple[Entry, Any, str]]:
  """Yield each entry of `parts`, its index in our array, and its name there.

  A stacked parameter is yielded once a layer, or once a group of layers that
  share their weights; for others the index is `...`.
  """
  for entry in table:
    if entry.row.part not in parts:
      continue
    if entry.row.is_stacked:
      for layer in range(config.num_stacked):
        if layer not in entry.lacking:
          yield entry, layer, entry.theirs.replace(_LAYER, f".{layer}.")
    else:
      yield entry, ..., entry.theirs
