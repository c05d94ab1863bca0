# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A folder that `transformers` loads, and back."""

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bertjax.config import ModelConfig
from bertjax.interop.architectures import ARCHITECTURES, ENCODER, PRETRAINING
from bertjax.interop.huggingface import (
  Params,
  Tensors,
  from_huggingface,
  lacking_parts,
  to_huggingface,
)
from bertjax.interop.huggingface_config import (
  architecture_from_huggingface,
  config_from_huggingface,
  config_to_huggingface,
  labels_from_huggingface,
)

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# Which file of several each tensor lies in.
INDEX = "model.safetensors.index.json"
WITH_HEADS = "pretraining"
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Loaded:
  """What a folder holds.

  Attributes:
    architecture: the class of transformers that `params` are of.
    config: shape of the encoder.
    labels: names of the classes of a classifier; else none.
    params: numpy arrays, without the parts that were left out.
  """

  architecture: str
  config: ModelConfig
  labels: tuple[str, ...]
  params: Params


def export_model(
  params: Params,
  config: ModelConfig,
  folder: os.PathLike[str],
  *,
  architecture: str,
  pad_id: int,
  labels: Sequence[str] = (),
  dtype: str = "float32",
) -> pathlib.Path:
  """Write one model for the class of transformers called `architecture`.

  Args:
    params: of a module with the parts of the architecture, and maybe others.
    config: shape of the encoder.
    folder: gets `config.json` and `model.safetensors`; the tokenizer's files
      belong beside them.
    architecture: a name of ARCHITECTURES.
    pad_id: of the tokenizer.
    labels: names of the classes of a classifier.
    dtype: of the file, one of DTYPES; parameters are rounded to it.

  Raises:
    ValueError: parameters that do not fit the architecture.
  """
  parts = ARCHITECTURES[architecture].parts
  tensors = to_huggingface(
    {part: params[part] for part in parts if part in params},
    config,
    architecture,
    num_classes=len(labels),
  )
  root = pathlib.Path(folder)
  mapping = config_to_huggingface(config, architecture, pad_id, labels)
  rounded = {
    name: array.astype(jnp.dtype(dtype)) for name, array in tensors.items()
  }
  _write(rounded, {**mapping, "dtype": dtype}, root)
  return root


def export_pretraining(
  params: Params,
  config: ModelConfig,
  folder: os.PathLike[str],
  *,
  pad_id: int,
  dtype: str = "float32",
) -> tuple[pathlib.Path, pathlib.Path]:
  """Write the model for `AutoModel`, and with its heads one folder below.

  `folder` holds encoder and pooler (`BertModel`), so that `AutoModel` finds
  nothing missing and nothing unexpected; `folder/pretraining` holds
  `BertForPreTraining` for `AutoModelForMaskedLM` and the fill-mask pipeline.
  The decoder is tied to the word table and not written twice.

  Returns:
    The folders, each of which also wants the tokenizer's files.
  """
  root = pathlib.Path(folder)
  folders = {ENCODER: root, PRETRAINING: root / WITH_HEADS}
  for architecture, place in folders.items():
    export_model(
      params,
      config,
      place,
      architecture=architecture,
      pad_id=pad_id,
      dtype=dtype,
    )
  return folders[ENCODER], folders[PRETRAINING]


def load_model(
  folder: os.PathLike[str], *, new: Collection[str] = ()
) -> Loaded:
  """Read a folder that `save_pretrained` or `export_model` has written.

  Encoders with some of the heads of pre-training are read as
  `BertForPreTraining`.

  Args:
    folder: has `config.json`, and `model.safetensors` or its index.
    new: parts that the caller makes anew: they are left out, whether the
      folder has them or not. All others have to be there (law 9).

  Raises:
    ValueError: no such folder, a model of another kind, or weights that do
      not fit its config, with the names on either side.
  """
  root = pathlib.Path(folder)
  mapping = _read_json(root / CONFIG)
  try:
    config = config_from_huggingface(mapping)
    architecture = architecture_from_huggingface(mapping)
    labels = ()
    if "classifier" in ARCHITECTURES[architecture].parts:
      labels = labels_from_huggingface(mapping)
  except ValueError as error:
    raise ValueError(f"{root / CONFIG}: {error}") from error
  _check_parts(new, architecture)
  tensors = load_tensors(root)
  try:
    params = from_huggingface(
      tensors, config, architecture, num_classes=len(labels), without=new
    )
  except ValueError as error:
    hint = ""
    lacking = [
      part for part in lacking_parts(tensors, architecture) if part not in new
    ]
    if architecture == PRETRAINING and lacking:
      hint = f"; --new={','.join([*new, *lacking])} makes these parts anew"
      if (root / WITH_HEADS / WEIGHTS).is_file():
        hint += f", {root / WITH_HEADS} has them"
    raise ValueError(f"{root}: {error}{hint}") from error
  return Loaded(architecture, config, labels, params)


def load_tensors(folder: pathlib.Path) -> Tensors:
  """Read the weights of a folder, from one file or from several.

  Raises:
    ValueError: there are none, or they cannot be read.
  """
  if (folder / WEIGHTS).is_file():
    return _load_file(folder / WEIGHTS)
  if not (folder / INDEX).is_file():
    raise ValueError(
      f"{folder} has no {WEIGHTS}; give a folder that transformers' "
      "save_pretrained or launch.export has written"
    )
  places = _read_json(folder / INDEX).get("weight_map")
  if not isinstance(places, dict):
    raise ValueError(f"{folder / INDEX} has no weight_map")
  tensors: Tensors = {}
  for name in sorted(set(map(str, places.values()))):
    # A name alone: nothing outside of the folder is read.
    tensors |= _load_file(folder / pathlib.Path(name).name)
  if tensors.keys() != places.keys():
    raise ValueError(
      f"{folder / INDEX} and its files differ in "
      f"{sorted(tensors.keys() ^ places.keys())}"
    )
  return tensors


def _check_parts(new: Collection[str], architecture: str) -> None:
  known = ARCHITECTURES[PRETRAINING].parts[1:]  # without the encoder
  for part in new:
    if architecture != PRETRAINING:
      raise ValueError(f"--new={part}; {architecture} is read whole, or not")
    if part not in known:
      raise ValueError(f"--new={part}; give parts of {', '.join(known)}")


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  try:
    value = json.loads(path.read_text(encoding="utf-8"))
  except FileNotFoundError:
    raise ValueError(
      f"{path.parent} has no {path.name}; give a folder that transformers "
      "can load"
    ) from None
  except (ValueError, OSError) as error:
    raise ValueError(f"{path} cannot be read: {error}") from error
  if not isinstance(value, dict):
    raise ValueError(f"{path} holds a {type(value).__name__}, not an object")
  return value


def _load_file(path: pathlib.Path) -> Tensors:
  try:
    return load_file(path)
  # AttributeError: a dtype that numpy does not have.
  except (SafetensorError, OSError, AttributeError) as error:
    raise ValueError(f"{path} cannot be read: {error}") from error


def _write(
  tensors: Tensors, config: Mapping[str, Any], folder: pathlib.Path
) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  partial = folder / f"{WEIGHTS}.partial"
  # transformers refuses a file that does not name its framework.
  save_file(tensors, partial, metadata={"format": "pt"})
  back = load_file(partial)
  for name, array in tensors.items():
    if not np.array_equal(back[name], array):
      raise OSError(f"{partial}: {name} did not come back as written")
  os.replace(partial, folder / WEIGHTS)
  text = json.dumps(dict(config), indent=2, sort_keys=True)
  (folder / CONFIG).write_text(text + "\n")
  # The library's writer gives its file to nobody else.
  shutil.copymode(folder / CONFIG, folder / WEIGHTS)
