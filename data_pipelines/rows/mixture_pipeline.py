# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of several stores, each with its share of every batch.

Each store has the same number of rows in every batch, at the same positions,
and walks them as a run of its own on that store would: the batch of a step is
a pure function of stores, weights, config and step (law 2), however many hosts
and workers ask for it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bertjax.batch import Batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.assembly import choose_rows
from data_pipelines.rows.mixture import Member, Mixture
from data_pipelines.rows.pipeline import CACHE_BYTES, PretrainingPipeline


def place_rows(rows: Iterable[int]) -> list[np.ndarray]:
  """Positions of each store in a batch, evenly over it, ascending: int64 [n].

  Args:
    rows: of each store; together the rows of the batch.
  """
  # Of n rows the k-th is wanted at (k + 1/2) / n; who is first where two want
  # the same is the order of the stores.
  wanted = np.concatenate([(np.arange(n) + 0.5) / n for n in rows])
  place_of = np.argsort(np.argsort(wanted, kind="stable"), kind="stable")
  return np.split(place_of, np.cumsum(list(rows))[:-1])


class MixturePipeline:
  """Batches of a split of several stores; used as a `PretrainingPipeline`.

  Attributes:
    members: the pipeline of each store, by its name; `batch_size` of it is its
      rows in a batch.
    batch_size: rows of the global batch.

  Args:
    mixture: the stores.
    split: name of the split, usually "train".
    objective, data, seed: as `PretrainingPipeline`. `data.max_packs=0` takes
      the most that a store would choose by itself: each row is of one store,
      and with fewer the rows of short texts would not be full.
    batch_size: rows of the global batch.

  Raises:
    ValueError: rows that cannot be made of a store, or a store without a row.
  """

  def __init__(
    self,
    mixture: Mixture,
    split: str,
    *,
    objective: ObjectiveConfig,
    data: DataConfig,
    batch_size: int,
    seed: int,
  ) -> None:
    self.batch_size = batch_size
    rows = mixture.rows(batch_size)
    self._places = place_rows(rows.values())
    self._tokens = [
      member.store.split(split).num_tokens for member in mixture.members
    ]

    def make(member: Member, max_packs: int) -> PretrainingPipeline:
      count = rows[member.name]
      return PretrainingPipeline(
        member.store,
        split,
        objective=objective,
        data=dataclasses.replace(data, max_packs=max_packs),
        batch_size=count,
        seed=seed,
        cache_bytes=CACHE_BYTES * count // batch_size,
      )

    made = [make(member, data.max_packs) for member in mixture.members]
    self.num_packs = max(each.num_packs for each in made)
    self.members = {
      member.name: each
      if each.num_packs == self.num_packs
      else make(member, self.num_packs)
      for member, each in zip(mixture.members, made, strict=True)
    }

  def batch(self, step: int, rows: slice | None = None) -> Batch:
    """Rows `rows` of the batch of step `step`; as `PretrainingPipeline.batch`.

    Raises:
      ValueError: a negative step, rows with a stride, or a damaged store.
    """
    chosen = choose_rows(rows, self.batch_size)
    batch: Batch = {}
    for pipeline, places in zip(
      self.members.values(), self._places, strict=True
    ):
      # Its positions ascend, so that a part of the batch is a part of its own.
      first, stop = np.searchsorted(places, (chosen.start, chosen.stop))
      part = pipeline.batch(step, slice(int(first), int(stop)))
      for name, array in part.items():
        if name not in batch:
          batch[name] = np.empty((len(chosen), *array.shape[1:]), array.dtype)
        batch[name][places[first:stop] - chosen.start] = array
    return batch

  def epoch(self, step: int) -> float:
    """Epochs begun before `step`, over all rows of all stores."""
    return step * self.batch_size / self.report()["rows_per_epoch"]

  def report(self) -> dict[str, float]:
    """As `PretrainingPipeline.report`, of the batches of the mixture.

    An epoch is then all rows of all stores; `epoch` of each of `members` tells
    more.
    """
    reports = [each.report() for each in self.members.values()]
    column = lambda name: np.array([report[name] for report in reports])
    rows = np.array([each.batch_size for each in self.members.values()])
    examples = rows * column("examples_per_row")
    own = rows * self._tokens / column("rows_per_epoch")
    mean = lambda name, weights: float(
      np.average(column(name), weights=weights)
    )
    return {
      "mean_example_length": mean("mean_example_length", examples),
      "num_packs": self.num_packs,
      "examples_per_row": mean("examples_per_row", rows),
      "efficiency": mean("efficiency", rows),
      "random_share": mean("random_share", examples),
      "truncated_share": mean("truncated_share", own),
      "random_token_share": mean("random_token_share", own),
      "examples_per_epoch": float(column("examples_per_epoch").sum()),
      "rows_per_epoch": float(column("rows_per_epoch").sum()),
    }

  def memo(self, step: int) -> dict[str, Any]:
    """What makes `restore` at `step` fast, as plain JSON values."""
    return {
      "identity": self.identity,
      "facts": [list(fact) for fact in self.facts(step)],
    }

  def restore(self, memo: Mapping[str, Any]) -> bool:
    """Take over a memo; False, and no effect, where it is of other batches."""
    if memo.get("identity") != self.identity:
      return False
    self.learn(memo["facts"])
    return True

  @property
  def identity(self) -> str:
    """What the batches depend on, in short."""
    return " ".join(each.identity for each in self.members.values())

  def facts(self, step: int) -> list[tuple[int, ...]]:
    """What this instance knows of where the rows of `step` lie."""
    return [
      (number, *fact)
      for number, each in enumerate(self.members.values())
      for fact in each.facts(step)
    ]

  def learn(self, facts: list[Any]) -> None:
    """Take over another instance's `facts`."""
    for number, each in enumerate(self.members.values()):
      each.learn([tuple(fact[1:]) for fact in facts if fact[0] == number])
