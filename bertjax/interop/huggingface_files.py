# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A folder that `transformers` loads, and back."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from bertjax.config import ModelConfig, to_mapping
from bertjax.interop.huggingface import (
  ENCODER_PREFIX,
  Params,
  Tensors,
  from_huggingface,
  to_huggingface,
)

# Ours to theirs; "gelu_new" is the same function as gelu_pytorch_tanh and
# the name that Google's own tanh checkpoints carry.
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new"}
ACTIVATIONS_BACK = {
  "gelu": "gelu",
  "gelu_new": "gelu_tanh",
  "gelu_pytorch_tanh": "gelu_tanh",
}
FIELDS = {
  "num_layers": "num_hidden_layers",
  "hidden_size": "hidden_size",
  "num_heads": "num_attention_heads",
  "intermediate_size": "intermediate_size",
  "vocab_size": "vocab_size",
  "max_positions": "max_position_embeddings",
  "type_vocab_size": "type_vocab_size",
  "hidden_dropout_rate": "hidden_dropout_prob",
  "attention_dropout_rate": "attention_probs_dropout_prob",
  "layer_norm_epsilon": "layer_norm_eps",
  "initializer_std": "initializer_range",
}
PRETRAINING = "pretraining"


def config_to_huggingface(
  config: ModelConfig, architecture: str, pad_id: int
) -> dict[str, Any]:
  """Return what `config.json` holds."""
  values = to_mapping(config)
  return {
    "architectures": [architecture],
    "model_type": "bert",
    "hidden_act": ACTIVATIONS[config.activation],
    "pad_token_id": pad_id,
    "dtype": "float32",
    "tie_word_embeddings": True,
    **{theirs: values[ours] for ours, theirs in FIELDS.items()},
  }


def config_from_huggingface(mapping: Mapping[str, Any]) -> ModelConfig:
  """Read a `config.json`.

  Raises:
    ValueError: another model type, an activation that we do not have, or a
      size that is not stated.
  """
  kind, activation = mapping.get("model_type"), mapping.get("hidden_act")
  if kind != "bert":
    raise ValueError(f"model_type={kind!r}; only bert can be read")
  if activation not in ACTIVATIONS_BACK:
    raise ValueError(
      f"hidden_act={activation!r}; give one of {sorted(ACTIVATIONS_BACK)}"
    )
  absent = sorted(set(FIELDS.values()) - mapping.keys())
  if absent:
    raise ValueError(f"config.json lacks {', '.join(absent)}")
  values = {ours: mapping[theirs] for ours, theirs in FIELDS.items()}
  return ModelConfig(activation=ACTIVATIONS_BACK[activation], **values)


def export_pretraining(
  params: Params, config: ModelConfig, folder: os.PathLike[str], *, pad_id: int
) -> tuple[pathlib.Path, ...]:
  """Write the model for `AutoModel`, and with its heads one folder below.

  `folder` holds encoder and pooler (`BertModel`), so that `AutoModel` finds
  nothing missing and nothing unexpected; `folder/pretraining` holds
  `BertForPreTraining` for `AutoModelForMaskedLM` and the fill-mask pipeline.
  The decoder is tied to the word table and not written twice.

  Returns:
    The folders, each of which also wants the tokenizer's files.
  """
  tensors = to_huggingface(params, config)
  encoder = {
    name.removeprefix(ENCODER_PREFIX): array
    for name, array in tensors.items()
    if name.startswith(ENCODER_PREFIX)
  }
  root = pathlib.Path(folder)
  nested = root / PRETRAINING
  _write(encoder, config_to_huggingface(config, "BertModel", pad_id), root)
  _write(
    tensors, config_to_huggingface(config, "BertForPreTraining", pad_id), nested
  )
  return root, nested


def load_pretraining(
  folder: os.PathLike[str],
) -> tuple[ModelConfig, Params]:
  """Read a folder with `BertForPreTraining` weights.

  Raises:
    ValueError: no such folder, or weights that do not fit its config.
  """
  root = pathlib.Path(folder)
  for name in ("config.json", "model.safetensors"):
    if not (root / name).is_file():
      raise ValueError(f"{root} has no {name}; give an exported folder")
  config = config_from_huggingface(
    json.loads((root / "config.json").read_text())
  )
  return config, from_huggingface(load_file(root / "model.safetensors"), config)


def _write(
  tensors: Tensors, config: Mapping[str, Any], folder: pathlib.Path
) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  partial = folder / "model.safetensors.partial"
  # transformers refuses a file that does not name its framework.
  save_file(tensors, partial, metadata={"format": "pt"})
  back = load_file(partial)
  for name, array in tensors.items():
    if not np.array_equal(back[name], array):
      raise OSError(f"{partial}: {name} did not come back as written")
  os.replace(partial, folder / "model.safetensors")
  text = json.dumps(dict(config), indent=2, sort_keys=True)
  (folder / "config.json").write_text(text + "\n")
