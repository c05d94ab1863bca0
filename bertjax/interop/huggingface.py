# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Hugging Face's BERT layout ↔ ours, from one table used both ways.

Names and shapes are those of transformers' `BertForPreTraining`. A torch
matrix is (output, input) where ours is (input…, output…), and its layers are
separate tensors where ours are stacked on axis 0.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax.core import meta

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import ModelConfig
from bertjax.model import BertForPreTraining
from bertjax.paths import by_name

Tensors = dict[str, np.ndarray]
Params = dict[str, Any]
# What BertModel holds of BertForPreTraining, without this prefix.
ENCODER_PREFIX = "bert."
LAYER = re.compile(r"\bL\b")


@dataclasses.dataclass(frozen=True)
class Entry:
  """One parameter: our path, their name (`L` a layer), and input axes.

  `inputs` counts the leading axes of our kernel that are its input, which
  torch flattens and puts last; 0 keeps the order (biases, scales, tables).
  """

  ours: str
  theirs: str
  inputs: int = 0


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
)
# Copies that some files carry of tensors in the table, by the original.
TIED = {
  "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
  "cls.predictions.decoder.bias": "cls.predictions.bias",
}
# A buffer of transformers before 4.31, no parameter.
BUFFERS = ("bert.embeddings.position_ids",)


def to_huggingface(params: Params, config: ModelConfig) -> Tensors:
  """Name and shape `params` as `BertForPreTraining` does, tied copies out.

  Raises:
    ValueError: a parameter that the model of `config` does not have, one
      that it lacks, or one of another shape.
  """
  ours = _flatten(params)
  _check_same(
    {name: np.shape(array) for name, array in ours.items()},
    {name: shape.shape for name, shape in _shapes(config).items()},
    "parameters",
  )
  return {
    name: _to_theirs(np.asarray(ours[entry.ours])[index], entry)
    for entry, index, name in _pairs(config)
  }


def from_huggingface(
  tensors: Mapping[str, np.ndarray], config: ModelConfig
) -> Params:
  """Float32 parameters of `BertForPreTraining` from its Hugging Face tensors.

  Tied copies are compared and dropped; the names of TensorFlow's layer norms
  (gamma, beta) are understood.

  Raises:
    ValueError: a tensor missing, unknown or of another shape, or a tied copy
      that differs.
  """
  theirs = _without_copies(tensors)
  shapes = _shapes(config)
  _check_same(
    {name: np.shape(array) for name, array in theirs.items()},
    {
      name: _their_shape(shapes[entry.ours].shape, index, entry)
      for entry, index, name in _pairs(config)
    },
    "tensors",
  )
  ours = {
    name: np.empty(shape.shape, shape.dtype) for name, shape in shapes.items()
  }
  for entry, index, name in _pairs(config):
    target = ours[entry.ours][index]
    target[...] = _to_ours(np.asarray(theirs[name]), target.shape, entry)
  return _unflatten(ours)


def _to_theirs(array: np.ndarray, entry: Entry) -> np.ndarray:
  if entry.inputs:
    width = int(np.prod(array.shape[: entry.inputs]))
    array = array.reshape(width, -1).T
  elif entry.theirs.endswith(".bias"):
    array = array.reshape(-1)
  # safetensors writes the buffer and ignores strides.
  return np.ascontiguousarray(array, np.float32)


def _to_ours(
  array: np.ndarray, shape: tuple[int, ...], entry: Entry
) -> np.ndarray:
  return (array.T if entry.inputs else array).reshape(shape)


def _their_shape(
  shape: tuple[int, ...], index: Any, entry: Entry
) -> tuple[int, ...]:
  # A view of nothing, so that the shape rule is written once.
  empty = np.broadcast_to(np.float32(0), shape)[index]
  return _to_theirs(empty, entry).shape


def _pairs(config: ModelConfig) -> Iterator[tuple[Entry, Any, str]]:
  """Each entry with our index and their name, layer by layer."""
  for entry in TABLE:
    if LAYER.search(entry.theirs):
      for layer in range(config.num_layers):
        yield entry, layer, LAYER.sub(str(layer), entry.theirs)
    else:
      yield entry, ..., entry.theirs


def _without_copies(tensors: Mapping[str, np.ndarray]) -> Tensors:
  renamed = {
    re.sub(r"gamma$", "weight", re.sub(r"beta$", "bias", name)): array
    for name, array in tensors.items()
    if name not in BUFFERS
  }
  for copy, original in TIED.items():
    if copy in renamed and original in renamed:
      if not np.array_equal(renamed[copy], renamed[original]):
        raise ValueError(
          f"{copy} differs from {original}; only tied weights can be read"
        )
      del renamed[copy]
  return renamed


def _check_same(
  given: Mapping[str, tuple], wanted: Mapping[str, tuple], what: str
) -> None:
  missing = sorted(wanted.keys() - given.keys())
  unknown = sorted(given.keys() - wanted.keys())
  if missing or unknown:
    raise ValueError(f"{what} missing: {missing}; unknown: {unknown}")
  for name, shape in wanted.items():
    if given[name] != shape:
      raise ValueError(
        f"{what}: {name} has shape {given[name]}; the model has {shape}"
      )


def _shapes(config: ModelConfig) -> dict[str, jax.ShapeDtypeStruct]:
  features = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 1, "R": 1})
  positions_BP = np.zeros((1, 1), np.int32)
  model = BertForPreTraining(config)
  variables = jax.eval_shape(
    lambda key: model.init(key, features, positions_BP, deterministic=True),
    jax.eval_shape(lambda: jax.random.key(0)),
  )
  return _flatten(variables["params"])


def _flatten(params: Params) -> dict[str, Any]:
  return by_name(meta.unbox(params))


def _unflatten(flat: Mapping[str, np.ndarray]) -> Params:
  params: Params = {}
  for name, array in flat.items():
    *parents, leaf = name.split("/")
    place = params
    for parent in parents:
      place = place.setdefault(parent, {})
    place[leaf] = array
  return params
