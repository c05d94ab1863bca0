# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The modules of sentence-transformers, written around a folder's encoder.

The names of classes and of fields are those that every version reads, 6.2
included: its own files name classes that earlier versions do not have.
"""

import pathlib
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from bertjax import files
from bertjax.interop.huggingface_files import WEIGHTS

POOLINGS = ("cls", "mean", "max")
_TYPE = "sentence_transformers.models."
# Field of 1_Pooling/config.json → the pooling that it turns on. All others are
# off, and one that is left out may be on by default.
_MODES = {
  "pooling_mode_cls_token": "cls",
  "pooling_mode_mean_tokens": "mean",
  "pooling_mode_max_tokens": "max",
  "pooling_mode_mean_sqrt_len_tokens": "",
  "pooling_mode_weightedmean_tokens": "",
  "pooling_mode_lasttoken": "",
}


class Pooling(NamedTuple):
  """How the hidden states of a text become one vector.

  Attributes:
    name: one of POOLINGS: the state of [CLS], the mean or the maximum over all
      tokens.
    pooler: BERT's pooler, {"kernel": D×D, "bias": D}, whose tanh follows; or
      None.
    normalize: whether vectors have length 1.
  """

  name: str
  pooler: Any = None
  normalize: bool = False


def write_modules(
  folder: pathlib.Path, pooling: Pooling, *, width: int, max_tokens: int
) -> None:
  """Write what stands beside the files of transformers in `folder`.

  Args:
    folder: has the encoder and the tokenizer at its root.
    pooling: the modules after the encoder.
    width: width of the hidden states.
    max_tokens: tokens to which a text is cut, [CLS] and [SEP] among them.

  Raises:
    ValueError: there is no such pooling.
  """
  if pooling.name not in POOLINGS:
    raise ValueError(
      f"pooling={pooling.name}; give one of {', '.join(POOLINGS)}"
    )
  files.write_json(
    folder / "sentence_bert_config.json",
    {"max_seq_length": max_tokens, "do_lower_case": False},
  )
  files.write_json(
    folder / "config_sentence_transformers.json",
    {
      "model_type": "SentenceTransformer",
      "prompts": {},
      "default_prompt_name": None,
      "similarity_fn_name": "cosine",
    },
  )
  paths = [("Transformer", "")]
  place = _module(folder, paths, "Pooling")
  modes = {field: name == pooling.name for field, name in _MODES.items()}
  files.write_json(
    place / "config.json",
    {"word_embedding_dimension": width, **modes, "include_prompt": True},
  )
  if pooling.pooler is not None:
    _write_dense(_module(folder, paths, "Dense"), pooling.pooler, width)
  if pooling.normalize:
    files.write_json(_module(folder, paths, "Normalize") / "config.json", {})
  modules = [
    {"idx": index, "name": str(index), "path": path, "type": _TYPE + name}
    for index, (name, path) in enumerate(paths)
  ]
  files.write_json(folder / "modules.json", modules)


def _module(
  folder: pathlib.Path, paths: list[tuple[str, str]], name: str
) -> pathlib.Path:
  """Add a module to `paths`, and return its folder."""
  paths.append((name, f"{len(paths)}_{name}"))
  place = folder / paths[-1][1]
  place.mkdir()
  return place


def _write_dense(place: pathlib.Path, pooler: Any, width: int) -> None:
  files.write_json(
    place / "config.json",
    {
      "in_features": width,
      "out_features": width,
      "bias": True,
      "activation_function": "torch.nn.modules.activation.Tanh",
    },
  )
  # A torch matrix is (output, input); safetensors ignores strides.
  tensors = {
    "linear.weight": np.ascontiguousarray(np.asarray(pooler["kernel"]).T),
    "linear.bias": np.asarray(pooler["bias"]),
  }
  files.write_bytes(place / WEIGHTS, save(tensors, metadata={"format": "pt"}))
