# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle must be beyond whole: files and weights that fit each other."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bertjax import files
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import (
  CLASSIFIER,
  ENCODER,
  PAIR_HEAD,
  SPAN_HEAD,
  WINDOW_SCORER,
  by_name,
)
from bertjax.objectives.pretraining import init_params

Path = str | pathlib.Path
_Leaf = tuple[str, tuple[int, ...]]  # dtype and shape
_LINEAR = (PAIR_HEAD, CLASSIFIER, SPAN_HEAD)
_SHOWN = 3  # parameters that an error message names


def check_tokenizer_files(folder: Path, expected: Mapping[str, str]) -> None:
  """Check that a tokenizer's files are those that `expected` describes.

  Raises:
    ValueError: a file is missing, new, or has another sha256.
  """
  check_same_files(folder, files.sha256_of_folder(folder), expected)


def check_same_files(
  folder: Path, found: Mapping[str, str], expected: Mapping[str, str] | None
) -> None:
  """Do as `check_tokenizer_files` with hashes that are known already."""
  if expected is None or found == expected:
    return
  names = sorted({*found, *expected})
  differ = [name for name in names if found.get(name) != expected.get(name)]
  raise ValueError(
    f"{', '.join(str(pathlib.Path(folder) / name) for name in differ)} changed "
    "since the run began, and would not match the weights; copy it from the "
    "store or bundle it came from (launch.pretrain does so at its next start)"
  )


def check_shapes(
  model: ModelConfig,
  leaves: Mapping[str, Mapping[str, Any]],
  *,
  pretrained: bool,
) -> None:
  """Compare every parameter of a bundle with those of its model.

  Each part that the bundle has is whole. Linear heads have any number of
  classes.

  Args:
    model: shape of the encoder.
    leaves: {name: {"shape", "dtype"}} of the parameters.
    pretrained: whether all parts of pre-training must be there. A fine-tuned
      model has an encoder and some heads.

  Raises:
    ValueError: parameters are missing, are none of the model, or have another
      shape or dtype; the message names them and both sides (law 9).
  """
  if not pretrained:  # fine-tuning makes a pooler that pre-training lacked
    model = dataclasses.replace(model, pooler=True)
  expected = _expected(model, leaves)
  parts = {name.partition("/")[0] for name in leaves}
  parts |= (
    {name.partition("/")[0] for name in _pretraining_leaves(model)}
    if pretrained
    else {ENCODER}
  )
  wanted = {
    name: leaf
    for name, leaf in expected.items()
    if name.partition("/")[0] in parts
  }
  found = {
    name: (leaf["dtype"], tuple(leaf["shape"])) for name, leaf in leaves.items()
  }
  faults = [
    f"{name} is {_show(found, name, 'absent')}, and its model has "
    f"{_show(wanted, name, 'none')}"
    for name in dict.fromkeys((*wanted, *found))
    if found.get(name) != wanted.get(name)
  ]
  if faults:
    more = f"; and {len(faults) - _SHOWN} more" * (len(faults) > _SHOWN)
    raise ValueError("; ".join(faults[:_SHOWN]) + more)


def _show(leaves: Mapping[str, _Leaf], name: str, absent: str) -> str:
  if name not in leaves:
    return absent
  dtype, shape = leaves[name]
  return f"{dtype}{list(shape)}"


def _expected(
  model: ModelConfig, leaves: Mapping[str, Mapping[str, Any]]
) -> dict[str, _Leaf]:
  """Return all parameters that a bundle of this encoder may have."""
  expected = dict(_pretraining_leaves(model))
  for part in _LINEAR:
    kernel, bias = f"{part}/dense/kernel", f"{part}/dense/bias"
    leaf = leaves.get(bias) or leaves.get(kernel) or {}
    classes = leaf.get("shape") or [0]
    expected[kernel] = "float32", (model.hidden_size, classes[-1])
    expected[bias] = "float32", (classes[-1],)
  scorer = f"{WINDOW_SCORER}/dense/kernel"
  expected[scorer] = "float32", (model.hidden_size, 1)
  return expected


@functools.cache
def _pretraining_leaves(model: ModelConfig) -> Mapping[str, _Leaf]:
  """Return the parameters of pre-training; computes nothing."""

  def init() -> Any:
    module = BertForPreTraining(model, ComputeConfig(), num_pair_classes=2)
    key = jax.random.key(0)
    return nn.meta.unbox(init_params(module, model.max_positions, key))

  return {
    name: (str(leaf.dtype), leaf.shape)
    for name, leaf in by_name(jax.eval_shape(init)).items()
  }


def check_finite(path: pathlib.Path, params: Any) -> None:
  """Check that no parameter is nan or infinite.

  Raises:
    ValueError: one is; the message begins with `path`, the folder.
  """
  # One after another: see `digest.describe`.
  broken = [
    name
    for name, leaf in by_name(params).items()
    if not jax.device_get(_is_finite(leaf))
  ]
  if broken:
    raise ValueError(
      f"bundle {path} has values that are nan or infinite in "
      f"{', '.join(broken[:3])}{', …' * (len(broken) > 3)}: the run that wrote "
      "it had diverged; give the bundle of another step or run"
    )


@jax.jit
def _is_finite(leaf: jax.Array) -> jax.Array:
  return jnp.isfinite(leaf).all()
