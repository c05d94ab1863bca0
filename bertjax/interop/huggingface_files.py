# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write a folder that transformers loads, and read one that it wrote."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.core import meta
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from bertjax import files
from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  ENCODER,
  PRETRAINING,
  parts_of,
)
from bertjax.interop.families.registry import family_in, family_of
from bertjax.interop.family import Params, Tensors
from bertjax.interop.huggingface import (
  MisfitError,
  from_huggingface,
  lacking_parts,
  to_huggingface,
)
from bertjax.interop.huggingface_config import (
  architecture_from_huggingface,
  class_in,
  config_from_huggingface,
  config_to_huggingface,
  lost_rates,
  pooling_from_huggingface,
)
from bertjax.interop.huggingface_names import renamed
from bertjax.interop.outputs import NONE, Outputs, from_mapping

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# Says in which of several files each tensor is.
INDEX = "model.safetensors.index.json"
_PICKLE = "pytorch_model.bin"  # of transformers before 4.35
# Where earlier exports have the heads; their root holds the bare encoder.
_WITH_HEADS = "pretraining"
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Loaded:
  """A model read from a folder.

  Attributes:
    architecture: key of ARCHITECTURES whose parts `params` has.
    config: shape of the encoder.
    outputs: what the outputs of a head mean.
    params: numpy arrays, without the parts that were left out.
    pooling: how a sequence is pooled: "cls", "mean", or "" for not at all.
    lost_rates: dropout rates of heads that are not kept, by their fields.
  """

  architecture: str
  config: ModelConfig
  outputs: Outputs
  params: Params
  pooling: str = ""
  lost_rates: Mapping[str, float] = dataclasses.field(default_factory=dict)

  @property
  def class_name(self) -> str:
    """The class of transformers."""
    family = family_of(self.config)
    return family.class_of(self.architecture, self.config)


def export_model(
  params: Params,
  config: ModelConfig,
  folder: os.PathLike[str],
  *,
  architecture: str,
  pad_id: int,
  outputs: Outputs = NONE,
  dtype: str = "float32",
) -> pathlib.Path:
  """Write one model for a class of transformers.

  The class is that of the model's family for `architecture`.

  Args:
    params: parameters of a model with the parts of the architecture; other
      parts are left out.
    config: shape of the encoder.
    folder: gets `config.json` and `model.safetensors`; transformers expects the
      tokenizer's files beside them.
    architecture: key of ARCHITECTURES.
    pad_id: id of the tokenizer's padding.
    outputs: what the outputs of a head mean.
    dtype: dtype of the file, one of DTYPES; parameters are rounded to it.

  Raises:
    ValueError: the parameters do not fit the architecture.
  """
  family = family_of(config)
  params, config = family.adapt(meta.unbox(params), config, pad_id)
  is_base = architecture == ENCODER
  parts = parts_of(architecture, family.base(config) if is_base else config)
  tensors = to_huggingface(
    {part: params[part] for part in parts if part in params},
    config,
    architecture,
    num_classes=outputs.size,
  )
  root = pathlib.Path(folder)
  mapping = config_to_huggingface(config, architecture, pad_id, outputs)
  rounded = {
    name: array.astype(jnp.dtype(dtype)) for name, array in tensors.items()
  }
  _write(rounded, {**mapping, "dtype": dtype}, root)
  return root


def write_pooling(
  folder: os.PathLike[str], config: ModelConfig, pooling: str
) -> None:
  """Say in the config.json of an export how sequences are pooled.

  Nothing is said where the family has no choice.
  """
  field, path = family_of(config).pooling, pathlib.Path(folder) / CONFIG
  if field:
    mapping = _read_json(path)
    files.write_json(path, {**mapping, field: pooling}, sort_keys=True)


def load_model(
  folder: os.PathLike[str], *, new: Collection[str] = ()
) -> Loaded:
  """Read a folder that `save_pretrained` or `export_model` has written.

  An encoder with any of the pre-training heads, or with none, is read as
  the class of its family with all of these.

  Args:
    folder: has `config.json`, and `model.safetensors` or its index.
    new: parts that the caller initializes. They are left out, whether the
      folder has them or not; all other parts must be there (law 9).

  Raises:
    ValueError: no such folder, another kind of model, or weights that do not
      fit its config, with the names on both sides.
  """
  root = pathlib.Path(folder)
  mapping = _read_json(root / CONFIG)
  try:
    config = config_from_huggingface(mapping)
    architecture = architecture_from_huggingface(mapping)
    outputs = from_mapping(mapping, architecture)
    pooling = pooling_from_huggingface(mapping, architecture)
  except ValueError as error:
    raise ValueError(f"{root / CONFIG}: {error}") from error
  _check_parts(new, architecture, config)
  tensors = load_tensors(root)
  family = family_in(mapping)
  try:
    named = renamed(tensors, family)
    settled = family.settle(config, named, class_in(mapping))
    if {*new} <= {*parts_of(PRETRAINING, settled)}:
      config = settled
    params = from_huggingface(
      tensors, config, architecture, num_classes=outputs.size, without=new
    )
  except ValueError as error:
    lacking = lacking_parts(tensors, config, architecture)
    lacking = [part for part in lacking if part not in new]
    if architecture != PRETRAINING:
      lacking = []
    theirs = family.class_of(architecture, config)
    hint = _hint(error, root, theirs, [*new, *lacking] if lacking else [])
    raise ValueError(f"{root}: {error}{hint}") from error
  lost = lost_rates(mapping, config, architecture)
  return Loaded(architecture, config, outputs, params, pooling, lost)


def _hint(
  error: ValueError, root: pathlib.Path, theirs: str, new: list[str]
) -> str:
  """Return what to do about weights that do not fit; "" if `error` says it.

  Args:
    error: why they do not fit.
    root: the folder.
    theirs: the class of transformers that they should be of.
    new: parts to initialize, if the weights lack some of them.
  """
  misfit = error if isinstance(error, MisfitError) else None
  if misfit and misfit.has_fix:
    return ""
  if new:
    hint = f"; --new={','.join(new)} initializes these parts"
    if (root / _WITH_HEADS / WEIGHTS).is_file():
      hint += f", {root / _WITH_HEADS} has them"
    return hint
  if misfit and "classifier." in misfit.name:
    return f"; {CONFIG} says the number of labels by id2label or num_labels"
  if misfit and not misfit.name:
    return f"; save the folder again with {theirs}.save_pretrained"
  return ""


def load_tensors(folder: pathlib.Path) -> Tensors:
  """Read the weights of a folder, from one file or from several.

  Raises:
    ValueError: there are no weights, or they cannot be read.
  """
  if (folder / WEIGHTS).is_file():
    return _load_file(folder / WEIGHTS)
  if not (folder / INDEX).is_file():
    if (folder / _PICKLE).is_file():
      raise ValueError(
        f"{folder} has {_PICKLE}, which can run code when it is read, and no "
        f"{WEIGHTS}; load it with transformers and save_pretrained it again"
      )
    raise ValueError(
      f"{folder} has no {WEIGHTS}; give a folder that transformers' "
      "save_pretrained or launch.export has written"
    )
  places = _read_json(folder / INDEX).get("weight_map")
  if not isinstance(places, dict):
    raise ValueError(f"{folder / INDEX} has no weight_map")
  tensors: Tensors = {}
  for name in sorted(set(map(str, places.values()))):
    # Only the file's name counts: nothing outside of the folder is read.
    tensors |= _load_file(folder / pathlib.Path(name).name)
  if tensors.keys() != places.keys():
    raise ValueError(
      f"{folder / INDEX} and its files differ in "
      f"{sorted(tensors.keys() ^ places.keys())}"
    )
  return tensors


def _check_parts(
  new: Collection[str], architecture: str, config: ModelConfig
) -> None:
  known = parts_of(PRETRAINING, config)[1:]  # without the encoder
  for part in new:
    if architecture != PRETRAINING:
      raise ValueError(
        f"--new={part} is for pre-trained models; "
        f"{family_of(config).class_of(architecture, config)} is read whole"
      )
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
    raise ValueError(
      f"{path} holds {files.describe_json(value)}, not an object"
    )
  return value


def _load_file(path: pathlib.Path) -> Tensors:
  try:
    return load_file(path)
  # An AttributeError is about a dtype that numpy does not have.
  except (SafetensorError, OSError, AttributeError) as error:
    raise ValueError(f"{path} cannot be read: {error}") from error


def _write(
  tensors: Tensors, config: Mapping[str, Any], folder: pathlib.Path
) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  # transformers refuses a file that does not name its framework. Serialized
  # here, because safetensors' own writer is not atomic and sets the mode 0600.
  files.write_bytes(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
  files.write_json(folder / CONFIG, dict(config), sort_keys=True)
  back = load_file(folder / WEIGHTS)
  for name, array in tensors.items():
    if not np.array_equal(back[name], array):
      raise OSError(f"{folder / WEIGHTS}: {name} was not read as written")
