# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle must be beyond whole: files and weights that fit each other."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bertjax import files
from bertjax.config import ModelConfig
from bertjax.model.parameters import by_name

Path = str | pathlib.Path


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
  model: ModelConfig, leaves: Mapping[str, Mapping[str, Any]]
) -> None:
  """Check the parameters that a model's fields give a shape.

  Raises:
    ValueError: one of them is missing, or has another shape or dtype.
  """
  size, layers = model.hidden_size, model.num_layers
  heads = (model.num_heads, size // model.num_heads)
  for name, shape in {
    "encoder/embeddings/word/embedding": (model.vocab_size, size),
    "encoder/embeddings/position/embedding": (model.max_positions, size),
    "encoder/embeddings/type/embedding": (model.type_vocab_size, size),
    "encoder/layers/attention/query/kernel": (layers, size, *heads),
    "encoder/layers/mlp_up/kernel": (layers, size, model.intermediate_size),
  }.items():
    leaf = leaves[name]
    found, wanted = (leaf["dtype"], tuple(leaf["shape"])), ("float32", shape)
    if found != wanted:
      raise ValueError(f"{name} is {found}, and its model has {wanted}")


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
