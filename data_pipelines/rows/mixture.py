# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Open stores that are read together, and share a batch among them."""

import dataclasses
import hashlib
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from bertjax.config import DataConfig
from bertjax.config.names import PRETRAINING, FieldNames
from data_pipelines.store.store import Store, open_store

_FORM = "give PATH=WEIGHT,PATH=WEIGHT"


@dataclasses.dataclass(frozen=True)
class Member:
  """A store of a mixture, its name, and its share of the rows."""

  name: str
  store: Store
  weight: Fraction


@dataclasses.dataclass(frozen=True)
class Mixture:
  """Stores and their weights, which add up to 1.

  Attributes:
    members: one store or more with the same tokenizer, in the order of their
      hashes, so that the order in `data.stores` does not matter.
  """

  members: tuple[Member, ...]

  @property
  def sha256(self) -> str:
    """Identity of all stores together; for one store its own."""
    known = sorted(member.store.sha256 for member in self.members)
    if len(known) == 1:
      return known[0]
    return hashlib.sha256(" ".join(known).encode()).hexdigest()

  def token_counts(self, batch_size: int) -> np.ndarray:
    """Return how often each token id occurs in the mixture: int64 [V].

    The counts add up to the tokens of all training splits together.
    """
    counts = [member.store.token_counts() for member in self.members]
    if len(counts) == 1:
      return counts[0]
    total = sum(int(each_V.sum()) for each_V in counts)
    rows = self.rows(batch_size)
    shares = [
      rows[member.name] / batch_size * total / int(each_V.sum()) * each_V
      for member, each_V in zip(self.members, counts, strict=True)
    ]
    return np.rint(np.sum(shares, axis=0)).astype(np.int64)

  def rows(
    self, batch_size: int, names: FieldNames = PRETRAINING
  ) -> dict[str, int]:
    """Return the rows of each store in a batch, by largest remainders.

    Raises:
      ValueError: a store would have no row.
    """
    exact = [member.weight * batch_size for member in self.members]
    rows = [math.floor(quota) for quota in exact]
    places = sorted(range(len(rows)), key=lambda at: rows[at] - exact[at])
    for at in places[: batch_size - sum(rows)]:
      rows[at] += 1
    for member, count in zip(self.members, rows, strict=True):
      if not count:
        least = math.ceil(1 / min(each.weight for each in self.members))
        raise ValueError(
          f"data.stores gives {member.name} {float(member.weight):.2g} of "
          f"{names.batch_size}={batch_size}, less than a row; give a larger "
          f"weight, or {names.batch_size}={least} or more"
        )
    stores = [member.name for member in self.members]
    return dict(zip(stores, rows, strict=True))


def open_mixture(data: DataConfig) -> Mixture:
  """Open `data.store`, or the stores that `data.stores` names.

  Raises:
    ValueError: neither or both are given, `data.stores` is not of the form
      PATH=WEIGHT,PATH=WEIGHT, or its stores have different tokenizers.
  """
  if data.store and data.stores:
    raise ValueError(
      f"data.store={data.store} and data.stores={data.stores}; give one of "
      "them, and leave the other empty"
    )
  if not data.store and not data.stores:
    raise ValueError(
      "data.store is not given; give a folder that launch.prepare wrote, or "
      "several in data.stores"
    )
  weights = {data.store: Fraction(1)}
  if data.stores:
    weights = parse_weights(data.stores)
  stores = {path: open_store(path) for path in weights}
  _check_together(stores)
  names = name_paths(list(stores))
  total = sum(weights.values())
  members = [
    Member(name, store, weights[path] / total)
    for name, (path, store) in zip(names, stores.items(), strict=True)
  ]
  members.sort(key=lambda member: member.store.sha256)
  return Mixture(tuple(members))


def parse_weights(text: str) -> dict[str, Fraction]:
  """Return the weight of each store that `data.stores` names, by its path.

  Raises:
    ValueError: `text` is not of the form PATH=WEIGHT,PATH=WEIGHT.
  """
  weights: dict[str, Fraction] = {}
  for part in text.split(","):
    path, _, given = (word.strip() for word in part.rpartition("="))
    if not path:
      raise ValueError(
        f"data.stores: {part!r} is not a store and its weight; {_FORM}"
      )
    if path in weights:
      raise ValueError(f"data.stores names {path} twice; give it once")
    weights[path] = _weight(path, given)
  return weights


def _weight(path: str, text: str) -> Fraction:
  """Parse a decimal exactly: 0.1 is a tenth, so that shares are exact."""
  try:
    if 0 < float(text) < math.inf:
      return Fraction(text)
  except ValueError:
    pass
  raise ValueError(
    f"data.stores: weight {text!r} of {path} is not a number above 0; {_FORM}"
  )


def _check_together(stores: Mapping[str, Store]) -> None:
  first = next(iter(stores))
  seen: dict[str, str] = {}
  for path, store in stores.items():
    if store.sha256 in seen:
      raise ValueError(
        f"data.stores: {seen[store.sha256]} and {path} are the same store; "
        "give it once"
      )
    seen[store.sha256] = path
    ours, theirs = (
      each.manifest.tokenizer.sha256 for each in (store, stores[first])
    )
    if ours != theirs:
      raise ValueError(
        f"data.stores: {path} was made with tokenizer {ours[:12]} and {first} "
        f"with {theirs[:12]}; prepare it with --tokenizer={first}"
      )


def name_paths(paths: Sequence[str]) -> list[str]:
  """Name each path by its last folders, as many as make them differ."""
  parts = [pathlib.Path(os.path.abspath(path)).parts for path in paths]
  length = 1
  while len({part[-length:] for part in parts}) < len(set(parts)):
    length += 1
  return ["/".join(part[-length:]) for part in parts]
