# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a model gives under the names of its graph, and how far two differ.

Rows are arrays of `bertjax.batch.ENCODER_FEATURES` with one example each.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.interop.architectures import (
  ARCHITECTURES,
  CLASSIFICATION,
  ENCODER,
  MULTIPLE_CHOICE,
)
from bertjax.interop.onnx.encoder import HIDDEN
from bertjax.interop.onnx.heads import END, LOGITS, POOLED, START, parts_of
from bertjax.model import parameters
from bertjax.model.encoder import Encoder
from bertjax.model.heads import Pooler

Array = np.ndarray
Outputs = Mapping[str, Array]


def compute(
  params: Mapping[str, Any],
  config: ModelConfig,
  architecture: str,
  pooling: str,
  features: Mapping[str, Array],
) -> dict[str, Array]:
  """Return what the model itself gives, in float32, by its graph's names.

  Args:
    params: parameters; parts that the head does not read are left out.
    config: shape of the encoder.
    architecture: class of transformers with the same head.
    pooling: how an example becomes one vector; the two are a key of HEADS.
    features: rows of one example each.
  """
  parts = parts_of(architecture, pooling, config, params)
  read = {part: params[part] for part in parts}
  apply = _encode if architecture == ENCODER else _apply_head

  def outputs_of(read: Any, features: Any) -> dict[str, Any]:
    return apply(read, config, architecture, pooling, features)

  return jax.device_get(jax.jit(outputs_of)(read, dict(features)))


def _encode(
  params: Any, config: ModelConfig, _: str, pooling: str, features: Any
) -> dict[str, Any]:
  encoder = Encoder(config, ComputeConfig())
  hidden_BSD: Any = encoder.apply(
    {"params": params[parameters.ENCODER]}, features, deterministic=True
  )
  outputs = {HIDDEN: hidden_BSD}
  if pooling:
    pooler = Pooler(config, ComputeConfig())
    pooled_BRD: Any = pooler.apply(
      {"params": params[parameters.POOLER]}, hidden_BSD, features["starts_BR"]
    )
    outputs[POOLED] = pooled_BRD[:, 0]
  return outputs


def _apply_head(
  params: Any,
  config: ModelConfig,
  architecture: str,
  pooling: str,
  features: Any,
) -> dict[str, Any]:
  count = 0
  if parameters.CLASSIFIER in params:
    (count,) = params[parameters.CLASSIFIER]["dense"]["bias"].shape
  model: Any = ARCHITECTURES[architecture].make(config, count)
  if architecture in (CLASSIFICATION, MULTIPLE_CHOICE):
    scores = parameters.WINDOW_SCORER in params
    model = model.clone(pooling=pooling, scores_windows=scores)
  outputs = model.apply({"params": params}, features, deterministic=True)
  return dict(_without_axes(*each) for each in outputs.items())


def _without_axes(name: str, array: Any) -> tuple[str, Any]:
  """Return ("logits", logits_BC) for "logits_BRC" of rows with R = 1."""
  stem, _, axes = name.rpartition("_")
  if "R" in axes:
    array = array.squeeze(axes.index("R"))
  return stem, array


def take(outputs: Outputs, row: int, length: int) -> dict[str, Array]:
  """Return the outputs of one row, of its first `length` positions."""
  return {
    name: array[row : row + 1, :length]
    if _is_by_position(name, array)
    else array[row : row + 1]
    for name, array in outputs.items()
  }


def largest_difference(
  ours: Outputs, theirs: Outputs, is_real_BS: Array
) -> float:
  """Return the largest difference of any output, padding left out."""
  return max(
    float(np.abs(array - theirs[name])[_real(name, array, is_real_BS)].max())
    for name, array in ours.items()
  )


def decide(
  outputs: Outputs, is_real_BS: Array, *, several: bool = False
) -> Array | None:
  """Return the decisions of a head, one for each example or token.

  Args:
    outputs: outputs of rows.
    is_real_BS: whether a position is no padding.
    several: whether an example may have several labels.

  Returns:
    The likeliest class of each example or real token; for several labels, each
    example's set of them as a row of booleans; for spans, each example's most
    likely start and end. None if the outputs decide nothing.
  """
  if START in outputs:
    # The last axis: where it starts, where it ends.
    return np.stack(
      [
        np.where(is_real_BS, outputs[name], -np.inf).argmax(axis=-1)
        for name in (START, END)
      ],
      axis=-1,
    )
  logits = outputs.get(LOGITS)
  if logits is None or logits.shape[-1] == 1:
    return None
  logits = logits[_real(LOGITS, logits, is_real_BS)]
  return logits > 0 if several else logits.argmax(axis=-1)


def share_equal(ours: Array, theirs: Array) -> float:
  """Return the share of decisions that are equal as a whole."""
  equal = (ours == theirs).reshape(len(ours), -1)
  return float(equal.all(axis=-1).mean())


def mean_cosine(
  ours: Outputs, theirs: Outputs, is_real_BS: Array
) -> float | None:
  """Return the mean cosine of the hidden states of real tokens, or None."""
  if HIDDEN not in ours:
    return None
  a_ND, b_ND = ours[HIDDEN][is_real_BS], theirs[HIDDEN][is_real_BS]
  norms_N = np.linalg.norm(a_ND, axis=-1) * np.linalg.norm(b_ND, axis=-1)
  return float(np.mean(np.sum(a_ND * b_ND, axis=-1) / norms_N))


def _real(name: str, array: Array, is_real_BS: Array) -> Any:
  """Return the index of what is no padding."""
  return is_real_BS if _is_by_position(name, array) else ...


def _is_by_position(name: str, array: Array) -> bool:
  return name in (HIDDEN, START, END) or (name == LOGITS and array.ndim == 3)
