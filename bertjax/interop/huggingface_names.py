# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The names of tensors in files, as they came to be: wrapped, bare or old."""

import re
from collections.abc import Collection, Mapping

import numpy as np

from bertjax.interop.families.registry import family_behind
from bertjax.interop.family import Family, Tensors

# What torch's wrappers (DataParallel, torch.compile, FSDP and checkpointing)
# put into names, of a whole model or of a part of it.
_WRAPPERS = re.compile(
  r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module"
  r")\."
)
# Prefix of all names in a Lightning module.
_MODEL = "model."


def renamed(tensors: Mapping[str, np.ndarray], family: Family) -> Tensors:
  """Return the tensors under the names of a family's table, where it has them.

  The base class's names, without a prefix, TensorFlow's names of layer norms
  (gamma, beta), the names inside of torch's wrappers (`module.`, `_orig_mod.`)
  and a prefix twice are understood.

  Raises:
    ValueError: two tensors get the same name.
  """
  tensors = _unwrapped(tensors, family.prefix)
  bare = not any(name.startswith(family.prefix) for name in tensors)
  found = {}
  for given, array in tensors.items():
    inner = bare and given.startswith(family.bare)
    name = family.prefix + given if inner else given
    # TensorFlow's names of the parameters of a layer norm.
    name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
    if name not in family.buffers:
      found[name] = array
  return found


def _unwrapped(tensors: Mapping[str, np.ndarray], prefix: str) -> Tensors:
  """Return the tensors under the names that the model inside gives them.

  Raises:
    ValueError: two tensors get the same name.
  """
  names = {name: _WRAPPERS.sub("", name) for name in tensors}
  if all(inner.startswith(_MODEL) for inner in names.values()):
    names = {name: inner[len(_MODEL) :] for name, inner in names.items()}
  # A module of a user that calls its BERT `bert`. It has the head inside, too,
  # if all names are longer.
  if any(inner.startswith(prefix * 2) for inner in names.values()):
    inside = all(inner.startswith(prefix) for inner in names.values())
    longer = prefix if inside else prefix * 2
    names = {
      name: inner[len(prefix) :] if inner.startswith(longer) else inner
      for name, inner in names.items()
    }
  given: dict[str, str] = {}
  for name, inner in names.items():
    if given.setdefault(inner, name) != name:
      raise ValueError(
        f"{given[inner]} and {name} are both {inner}; remove one of them"
      )
  return {inner: tensors[name] for inner, name in given.items()}


def name_hint(
  unknown: list[str], wanted: Collection[str], family: Family | None
) -> str:
  """Return what to do about unknown names; "" where nothing is known.

  Args:
    unknown: names in a file that a model does not have.
    wanted: names that it has.
    family: the family that the model is of; None for names here.
  """
  if not unknown:
    return ""
  # What stands in front of the name of a parameter here, with its dot.
  prefixes = (
    unknown[0].removesuffix(inner)
    for inner in wanted
    if unknown[0].endswith(f".{inner}")
  )
  prefix = next(prefixes, "")
  if not prefix:
    return _family_hint(unknown, wanted, family)
  if not all(
    name.startswith(prefix) and name[len(prefix) :] in wanted
    for name in unknown
  ):
    return ""
  return f"; take {prefix!r} off the names: save the model that is inside of it"


def _family_hint(
  unknown: list[str], wanted: Collection[str], family: Family | None
) -> str:
  if family is None or any(name in wanted for name in unknown):
    return ""
  other = family_behind(unknown, family)
  if other is None:
    return ""
  return (
    f"; these are names of {other.title}, and the config.json says model_type="
    f"{family.model_type}: give the config.json of the weights"
  )
