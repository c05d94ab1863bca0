# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make batches of several stores, each with its share of every batch.

Each store has the same number of rows in every batch, at the same positions,
and walks them as a run on that store alone would. The batch of a step is a pure
function of stores, weights, config and step (law 2), for any number of hosts
and workers.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from bertjax.batch import Batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.assembly import choose_rows
from data_pipelines.rows.mixture import Member, Mixture
from data_pipelines.rows.pipeline import (
  CACHE_BYTES,
  Pipeline,
  PretrainingPipeline,
)
from data_pipelines.rows.shared_rows import spread


def place_rows(rows: Iterable[int]) -> list[np.ndarray]:
  """Spread the rows of each store evenly over a batch.

  Args:
    rows: rows of each store, which add up to the batch.

  Returns:
    The ascending positions of each store: int64 [rows of the store].
  """
  counts = list(rows)
  place_of = np.argsort(spread(counts))
  return np.split(place_of, np.cumsum(counts)[:-1])


class MixturePipeline(Pipeline):
  """Batches of a split of several stores.

  Attributes:
    members: the pipeline of each store by name; its `batch_size` is the rows of
      the store in a batch.

  Args:
    mixture: the stores.
    split: name of the split, usually "train".
    objective, data, seed: as for `PretrainingPipeline`. `data.max_packs=0`
      takes the largest number that any store would choose: each row has one
      store's text, and fewer packs would not fill the rows of short texts.
    batch_size: rows of the global batch.

  Raises:
    ValueError: a store cannot give such rows, or has no row in a batch.
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
    self.identity = " ".join(each.identity for each in self.members.values())

  def batch(self, step: int, rows: slice | None = None) -> Batch:
    """Return rows of the batch of a step; see `Pipeline.batch`."""
    chosen = choose_rows(rows, self.batch_size)
    batch: Batch = {}
    for pipeline, places in zip(
      self.members.values(), self._places, strict=True
    ):
      # Positions ascend, so that a part of the batch is a part of the store's.
      first, stop = np.searchsorted(places, (chosen.start, chosen.stop))
      part = pipeline.batch(step, slice(int(first), int(stop)))
      for name, array in part.items():
        if name not in batch:
          batch[name] = np.empty((len(chosen), *array.shape[1:]), array.dtype)
        batch[name][places[first:stop] - chosen.start] = array
    return batch

  def report(self) -> dict[str, float]:
    """Return statistics of the rows; see `Pipeline.report`.

    An epoch is all rows of all stores; `members` have epochs of their own.
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
      **{
        f"{name}_per_row": mean(f"{name}_per_row", rows)
        for name in ("own_tokens", "random_tokens")
      },
      "examples_per_epoch": float(column("examples_per_epoch").sum()),
      "rows_per_epoch": float(column("rows_per_epoch").sum()),
      "lanes": float(column("lanes").min()),
      "rows_of_a_block": float(column("rows_of_a_block").max()),
    }

  def examples_by_length(self) -> np.ndarray:
    """Return the mean number of examples of each length in a row."""
    return np.average(
      [each.examples_by_length() for each in self.members.values()],
      axis=0,
      weights=[each.batch_size for each in self.members.values()],
    )

  def progress_marks(self, step: int) -> Sequence[tuple[int, ...]]:
    """Return the marks of every member, with the number of the member first."""
    return [
      (number, *mark)
      for number, each in enumerate(self.members.values())
      for mark in each.progress_marks(step)
    ]

  def merge(self, marks: Sequence[Sequence[int]]) -> None:
    """Add the progress marks of another instance or of a memo."""
    for number, each in enumerate(self.members.values()):
      each.merge([mark[1:] for mark in marks if mark[0] == number])
