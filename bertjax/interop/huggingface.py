# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters here ↔ the tensors of transformers, by the table of a family.

A torch matrix has the axes (output, input); ours has (input…, output…). torch
has separate tensors for the layers; ours are stacked on axis 0. A tensor there
may hold several parameters, one behind the other.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from flax.core import meta

from bertjax.checkpoints.digest import nest
from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  ARCHITECTURES,
  ENCODER,
  PRETRAINING,
  parts_of,
  shapes,
)
from bertjax.interop.families.registry import family_of
from bertjax.interop.family import Family, Params, Tensors
from bertjax.interop.huggingface_names import name_hint, renamed
from bertjax.interop.table import Entry, pairs
from bertjax.model.parameters import ENCODER as ENCODER_PART
from bertjax.model.parameters import MLM_HEAD, POOLER, by_name, find

# Names that a message lists before it counts the others.
_LISTED = 6
# Dtypes whose values float32 holds exactly.
_DTYPES = ("float32", "float16", "bfloat16")


class MisfitError(ValueError):
  """Names or shapes that differ from those of a model.

  Attributes:
    name: what has another shape; "" where names differ.
    has_fix: whether the message says what to do about the names.
  """

  def __init__(
    self, message: str, name: str = "", *, has_fix: bool = False
  ) -> None:
    super().__init__(message)
    self.name = name
    self.has_fix = has_fix


def to_huggingface(
  params: Params,
  config: ModelConfig,
  architecture: str = PRETRAINING,
  *,
  num_classes: int = 0,
) -> Tensors:
  """Return the tensors of a class of transformers, without tied copies.

  The base class of a family gets its pooler, if it has one.

  Args:
    params: parameters of exactly the parts that `architecture` has.
    config: shape of the encoder.
    architecture: key of ARCHITECTURES.
    num_classes: number of classes, if it has a classifier.

  Raises:
    ValueError: a parameter is missing, unknown or of another shape.
  """
  family = family_of(config)
  if architecture == ENCODER:
    config = family.base(config)
  ours = by_name(meta.unbox(params))
  wanted = shapes(architecture, config, num_classes)
  _check_same(
    {name: np.shape(array) for name, array in ours.items()},
    {name: shape.shape for name, shape in wanted.items()},
    "parameters",
  )
  pieces: dict[str, dict[int, np.ndarray]] = {}
  parts = parts_of(architecture, config)
  for entry, index, name in _entries(
    family, config, architecture, parts, wanted
  ):
    piece = _to_theirs(np.asarray(ours[entry.ours])[index], entry)
    pieces.setdefault(name, {})[entry.part[0]] = piece
  tensors = {
    name: _joined([found[number] for number in sorted(found)])
    for name, found in pieces.items()
  }
  prefix = family.prefix if architecture == ENCODER else ""
  return {
    name.removeprefix(prefix): array
    for name, array in (tensors | family.constants(config)).items()
  }


def from_huggingface(
  tensors: Mapping[str, np.ndarray],
  config: ModelConfig,
  architecture: str = PRETRAINING,
  *,
  num_classes: int = 0,
  without: Collection[str] = (),
) -> dict[str, Any]:
  """Return float32 parameters from the tensors of a class of transformers.

  Float16 and bfloat16 are widened, which is exact. Tied copies are compared
  and dropped, and so is a pooler that pre-training of the family does not have.
  Names are understood as `huggingface_names.renamed` says. The norm of a layer
  that has none is never read, and begins as norms do.

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
  family = family_of(config)
  if architecture == ENCODER:
    config = family.base(config)
  parts = [p for p in parts_of(architecture, config) if p not in without]
  theirs = _without_parts(
    renamed(tensors, family), family, config, architecture, without
  )
  wanted = shapes(architecture, config, num_classes)
  entries = list(_entries(family, config, architecture, parts, wanted))
  given = {name: np.shape(array) for name, array in theirs.items()}
  _check_same(
    given,
    {
      name: _their_shape(wanted[entry.ours].shape, index, entry)
      for entry, index, name in entries
    },
    "tensors",
    family,
  )
  _check_floats(theirs)
  ours = {
    name: np.full(shape.shape, name.endswith("scale"), np.float32)
    for name, shape in wanted.items()
    if find(name).part in parts
  }
  for entry, index, name in entries:
    target = ours[entry.ours][index]
    number, count = entry.part
    piece = np.split(np.asarray(theirs[name]), count)[number]
    target[...] = _to_ours(piece, target.shape, entry)
    _check_finite(name, target)
  return nest(ours)


def _without_parts(
  named: Tensors,
  family: Family,
  config: ModelConfig,
  architecture: str,
  without: Collection[str],
) -> Tensors:
  """Return the tensors without those of some parts, copies and constants."""
  table = family.entries(architecture)
  dropped = {*without}
  if ARCHITECTURES[architecture].whole == PRETRAINING and not config.pooler:
    dropped.add(POOLER)  # which the base class of RoBERTa has
  left_out = {name for _, _, name in pairs(table, config, dropped)}
  if MLM_HEAD in without:
    # The decoder belongs to the head, unless it is the only copy of the table.
    left_out |= {
      copy for copy, original in family.tied.items() if original in named
    }
  theirs = _without_copies(
    {name: array for name, array in named.items() if name not in left_out},
    family,
  )
  left_out |= family.constants(config).keys()
  return {name: array for name, array in theirs.items() if name not in left_out}


def lacking_parts(
  tensors: Mapping[str, np.ndarray], config: ModelConfig, architecture: str
) -> list[str]:
  """Return the parts of an architecture without any tensor."""
  family = family_of(config)
  names = renamed(tensors, family)
  found = {
    entry.row.part
    for entry in family.entries(architecture)
    if entry.theirs in names
  }
  found.add(ENCODER_PART)  # in every model; its names have layer numbers
  return [part for part in parts_of(architecture, config) if part not in found]


def _entries(
  family: Family,
  config: ModelConfig,
  architecture: str,
  parts: Collection[str],
  wanted: Collection[str],
) -> Iterator[tuple[Entry, Any, str]]:
  """Yield the entries of the parameters that a model has in `parts`.

  Raises:
    ValueError: the family has no names for some of them.
  """
  ours = {name for name in wanted if find(name).part in parts}
  table = [e for e in family.entries(architecture) if e.ours in ours]
  differ = ours - {entry.ours for entry in table}
  if differ:
    raise ValueError(
      f"transformers' {family.title} and this model differ in "
      f"{sorted(differ)}; this model cannot be exported or imported"
    )
  yield from pairs(table, config, parts)


def _without_copies(tensors: Tensors, family: Family) -> Tensors:
  """Drop tied copies; a copy without its original takes its place."""
  kept = dict(tensors)
  for copy, original in family.tied.items():
    if copy in kept:
      array = kept.pop(copy)
      if not np.array_equal(kept.setdefault(original, array), array):
        raise ValueError(
          f"{copy} differs from {original}; only tied weights can be read"
        )
  return kept


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
  return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


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
  rows, *columns = _to_theirs(empty, entry).shape
  return (rows * entry.part[1], *columns)


def _check_same(
  given: Mapping[str, tuple[int, ...]],
  wanted: Mapping[str, tuple[int, ...]],
  what: str,
  family: Family | None = None,
) -> None:
  missing = sorted(wanted.keys() - given.keys())
  unknown = sorted(given.keys() - wanted.keys())
  if missing or unknown:
    hint = name_hint(unknown, wanted, family)
    raise MisfitError(
      f"{what} missing: {_listed(missing)}; unknown: {_listed(unknown)}{hint}",
      has_fix=bool(hint),
    )
  for name, shape in wanted.items():
    if given[name] != shape:
      raise MisfitError(
        f"{what}: {name} has shape {given[name]}; the model has {shape}", name
      )


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
