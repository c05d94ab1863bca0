# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters here ↔ the tensors of transformers' BERT, by one table.

A torch matrix has the axes (output, input); ours has (input…, output…). torch
has separate tensors for the layers; ours are stacked on axis 0.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from flax.core import meta

from bertjax.checkpoints.digest import nest
from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  ARCHITECTURES,
  ENCODER,
  PRETRAINING,
  shapes,
)
from bertjax.interop.bert import (
  BUFFERS,
  TABLE,
  TIED,
  Entry,
  check_is_bert,
  pairs,
)
from bertjax.model.parameters import MLM_HEAD, by_name, find

Tensors = dict[str, np.ndarray]
Params = dict[str, Any]
# Prefix of the names of encoder and pooler in every class but `BertModel`.
_PREFIX = "bert."
_BARE = ("embeddings.", "encoder.", "pooler.")
# What torch's wrappers (DataParallel, torch.compile, FSDP and checkpointing)
# put into names, of a whole model or of a part of it.
_WRAPPERS = re.compile(
  r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module"
  r")\."
)
# Prefix of all names in a Lightning module.
_MODEL = "model."
# Names that a message lists before it counts the others.
_LISTED = 6
# Dtypes whose values float32 holds exactly.
_DTYPES = ("float32", "float16", "bfloat16")


def to_huggingface(
  params: Params,
  config: ModelConfig,
  architecture: str = PRETRAINING,
  *,
  num_classes: int = 0,
) -> Tensors:
  """Return the tensors of a class of transformers, without tied copies.

  Args:
    params: parameters of exactly the parts that `architecture` has.
    config: shape of the encoder.
    architecture: key of ARCHITECTURES.
    num_classes: number of classes, if it has a classifier.

  Raises:
    ValueError: a parameter is missing, unknown or of another shape.
  """
  check_is_bert(config)
  ours = by_name(meta.unbox(params))
  wanted = shapes(architecture, config, num_classes)
  _check_same(
    {name: np.shape(array) for name, array in ours.items()},
    {name: shape.shape for name, shape in wanted.items()},
    "parameters",
  )
  prefix = _PREFIX if architecture == ENCODER else ""
  parts = ARCHITECTURES[architecture].parts
  return {
    name.removeprefix(prefix): _to_theirs(
      np.asarray(ours[entry.ours])[index], entry
    )
    for entry, index, name in _entries(config, parts, wanted)
  }


def from_huggingface(
  tensors: Mapping[str, np.ndarray],
  config: ModelConfig,
  architecture: str = PRETRAINING,
  *,
  num_classes: int = 0,
  without: Collection[str] = (),
) -> Params:
  """Return float32 parameters from the tensors of a class of transformers.

  Float16 and bfloat16 are widened, which is exact. Tied copies are compared
  and dropped. `BertModel`'s names, without a prefix, TensorFlow's names of
  layer norms (gamma, beta), the names inside of torch's wrappers (`module.`,
  `_orig_mod.`) and `bert.` twice are understood.

  Args:
    tensors: tensors by name.
    config: shape of the encoder.
    architecture: key of ARCHITECTURES.
    num_classes: number of classes, if it has a classifier.
    without: parts to leave out, whether `tensors` has them or not.

  Raises:
    ValueError: a tensor is missing, unknown, of another shape, not a float or
      not finite, or a tied copy differs.
  """
  parts = [p for p in ARCHITECTURES[architecture].parts if p not in without]
  named = _renamed(tensors)
  left_out = {name for _, _, name in pairs(config, without)}
  if MLM_HEAD in without:
    # The decoder belongs to the head, unless it is the only copy of the table.
    left_out |= {copy for copy, original in TIED.items() if original in named}
  theirs = _without_copies(
    {name: array for name, array in named.items() if name not in left_out}
  )
  theirs = {
    name: array for name, array in theirs.items() if name not in left_out
  }
  wanted = shapes(architecture, config, num_classes)
  entries = _entries(config, parts, wanted)
  _check_same(
    {name: np.shape(array) for name, array in theirs.items()},
    {
      name: _their_shape(wanted[entry.ours].shape, index, entry)
      for entry, index, name in entries
    },
    "tensors",
  )
  _check_floats(theirs)
  ours = {
    name: np.empty(wanted[name].shape, np.float32)
    for name in {entry.ours for entry, _, _ in entries}
  }
  for entry, index, name in entries:
    target = ours[entry.ours][index]
    target[...] = _to_ours(np.asarray(theirs[name]), target.shape, entry)
    _check_finite(name, target)
  return nest(ours)


def lacking_parts(
  tensors: Mapping[str, np.ndarray], architecture: str
) -> list[str]:
  """Return the parts of an architecture without any tensor."""
  names = _renamed(tensors)
  found = {entry.row.part for entry in TABLE if entry.theirs in names}
  found.add("encoder")  # every model has it, and its names have layer numbers
  return [
    part for part in ARCHITECTURES[architecture].parts if part not in found
  ]


def _entries(
  config: ModelConfig, parts: Collection[str], wanted: Collection[str]
) -> list[tuple[Entry, Any, str]]:
  """Return the entries of `parts`, which must be all that a model has there.

  Raises:
    ValueError: transformers' BERT has other parameters than this model.
  """
  entries = list(pairs(config, parts))
  ours = {name for name in wanted if find(name).part in parts}
  differ = ours ^ {entry.ours for entry, _, _ in entries}
  if differ:
    raise ValueError(
      f"transformers' BERT and this model differ in {sorted(differ)}; this "
      "model cannot be exported or imported"
    )
  return entries


def _renamed(tensors: Mapping[str, np.ndarray]) -> Tensors:
  """Return the tensors under the table's names, where it has them."""
  tensors = _unwrapped(tensors)
  bare = not any(name.startswith(_PREFIX) for name in tensors)
  renamed = {}
  for given, array in tensors.items():
    name = _PREFIX + given if bare and given.startswith(_BARE) else given
    # TensorFlow's names of the parameters of a layer norm.
    name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
    if name not in BUFFERS:
      renamed[name] = array
  return renamed


def _unwrapped(tensors: Mapping[str, np.ndarray]) -> Tensors:
  """Return the tensors under the names that the model inside gives them.

  Raises:
    ValueError: two tensors get the same name.
  """
  names = {name: _WRAPPERS.sub("", name) for name in tensors}
  if all(inner.startswith(_MODEL) for inner in names.values()):
    names = {name: inner[len(_MODEL) :] for name, inner in names.items()}
  # A module of a user that calls its BERT `bert`. It has the head inside, too,
  # if all names are longer.
  if any(inner.startswith(_PREFIX * 2) for inner in names.values()):
    inside = all(inner.startswith(_PREFIX) for inner in names.values())
    longer = _PREFIX if inside else _PREFIX * 2
    names = {
      name: inner[len(_PREFIX) :] if inner.startswith(longer) else inner
      for name, inner in names.items()
    }
  given: dict[str, str] = {}
  for name, inner in names.items():
    if given.setdefault(inner, name) != name:
      raise ValueError(
        f"{given[inner]} and {name} are both {inner}; remove one of them"
      )
  return {inner: tensors[name] for inner, name in given.items()}


def _without_copies(tensors: Tensors) -> Tensors:
  """Drop tied copies; a copy without its original takes its place."""
  kept = dict(tensors)
  for copy, original in TIED.items():
    if copy in kept:
      array = kept.pop(copy)
      if not np.array_equal(kept.setdefault(original, array), array):
        raise ValueError(
          f"{copy} differs from {original}; only tied weights can be read"
        )
  return kept


def _to_theirs(array: np.ndarray, entry: Entry) -> np.ndarray:
  if entry.row.inputs:
    width = int(np.prod(array.shape[: entry.row.inputs]))
    array = array.reshape(width, -1).T
  elif entry.theirs.endswith(".bias"):
    array = array.reshape(-1)
  # safetensors writes the buffer and ignores strides.
  return np.ascontiguousarray(array, np.float32)


def _to_ours(
  array: np.ndarray, shape: tuple[int, ...], entry: Entry
) -> np.ndarray:
  return (array.T if entry.row.inputs else array).reshape(shape)


def _their_shape(
  shape: tuple[int, ...], index: Any, entry: Entry
) -> tuple[int, ...]:
  # A view of one zero: the rule for shapes is then written once.
  empty = np.broadcast_to(np.float32(0), shape)[index]
  return _to_theirs(empty, entry).shape


def _check_same(
  given: Mapping[str, tuple[int, ...]],
  wanted: Mapping[str, tuple[int, ...]],
  what: str,
) -> None:
  missing = sorted(wanted.keys() - given.keys())
  unknown = sorted(given.keys() - wanted.keys())
  if missing or unknown:
    raise ValueError(
      f"{what} missing: {_listed(missing)}; unknown: {_listed(unknown)}"
      f"{_prefix_hint(unknown, wanted)}"
    )
  for name, shape in wanted.items():
    if given[name] != shape:
      raise ValueError(
        f"{what}: {name} has shape {given[name]}; the model has {shape}"
      )


def _prefix_hint(unknown: list[str], wanted: Collection[str]) -> str:
  """Return what to do if the unknown names are known ones behind a prefix."""
  for inner in wanted:
    prefix = unknown[0].removesuffix(inner) if unknown else ""
    if prefix.endswith(".") and unknown[0] == prefix + inner:
      break
  else:
    return ""
  if not all(
    name.startswith(prefix) and name[len(prefix) :] in wanted
    for name in unknown
  ):
    return ""
  return f"; take {prefix!r} off the names: save the model that is inside of it"


def _listed(names: list[str]) -> str:
  more = len(names) - _LISTED
  return f"{names[:_LISTED]}" + (f" and {more} more" if more > 0 else "")


def _check_floats(tensors: Tensors) -> None:
  for name, array in tensors.items():
    if array.dtype.name not in _DTYPES:
      raise ValueError(
        f"{name} is {array.dtype.name}; give one of {', '.join(_DTYPES)}"
      )


def _check_finite(name: str, array: np.ndarray) -> None:
  bad = array.size - int(np.isfinite(array).sum())
  if bad:
    raise ValueError(
      f"{name} has {bad} of {array.size} values that are not finite; fetch or "
      "export the weights again"
    )
