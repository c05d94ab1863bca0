# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plan the rows of a block: a pure function of store, config, seed and epoch.

Rows are planned from sentence lengths alone. Every sentence of a block is in
exactly one example as its own text; random second segments are drawn on top.
"""

import functools
import hashlib
from collections.abc import Mapping

import numpy as np

from bertjax.config import PAIR_FORMATS, ObjectiveConfig, checks
from bertjax.config.data import Frame
from data_pipelines.host_rng import HostRng
from data_pipelines.rows.examples import Examples, read_text
from data_pipelines.rows.packing import (
  choose_packs,
  count_rows,
  pack_examples,
)
from data_pipelines.rows.pairs import (
  PAIR_OBJECTIVES,
  check_partners,
  plan_pairs,
)
from data_pipelines.rows.rows import Rows
from data_pipelines.rows.singles import plan_singles
from data_pipelines.store.ranges import flatten_ranges
from data_pipelines.store.store import Split, Store
from data_pipelines.tokenizers.template import Template

# Raise it with any change of which rows a step has: of examples, packing or
# lanes. A run goes on only with rows of its own version (law 10).
ROWS_VERSION = 2


def sample_blocks(num_blocks: int, count: int = 4) -> list[int]:
  """Choose `count` blocks or fewer, evenly spread over a split."""
  count = min(num_blocks, count)
  return [
    (2 * number + 1) * num_blocks // (2 * count) for number in range(count)
  ]


class Planner:
  """Plans the rows of a split's blocks, and measures a sample of them.

  Args:
    store: the prepared corpus.
    split: name of the split.
    objective: `input_format`, `next_sentence`, `short_rate` and
      `static_copies` decide which rows there are; the other fields of masking
      do not.
    seq_length: length of a row in tokens.
    max_packs: most examples in a row; 0 chooses a number from the lengths.
    seed: seed of the run.

  Raises:
    ValueError: an objective that `check_objective` or the split refuses, or
      `seq_length` or `max_packs` out of range.
  """

  def __init__(
    self,
    store: Store,
    split: str,
    *,
    objective: ObjectiveConfig,
    seq_length: int,
    max_packs: int,
    seed: int,
  ) -> None:
    self.split: Split = store.split(split)
    self.seq_length = seq_length
    self.special_ids = store.special_ids
    self.template = store.template
    checks.check_objective(objective)
    check_partners(objective, self.split)
    count = self.template.count
    frame = Frame(count(pair=False), count(pair=True))
    if seq_length < frame.shortest_row:
      raise ValueError(
        f"data.seq_length={seq_length}; give at least {frame.shortest_row}"
      )
    shortest = frame.shortest_example
    if not 0 <= max_packs <= seq_length // shortest:
      raise ValueError(
        f"data.max_packs={max_packs}; give 1 to {seq_length // shortest}, "
        f"because data.seq_length={seq_length} has no room for more examples "
        f"of {shortest} tokens, or 0 to have it chosen"
      )
    self._objective = objective
    # Random streams are not keyed by objective or length, so that the arms of
    # an ablation share their draws.
    self._identity = (store.sha256, split, seed)
    self.num_packs = max_packs or choose_packs(
      seq_length,
      [examples.lengths() for examples in self._sample.values()],
      shortest,
    )

  @property
  def identity(self) -> str:
    """Hash of everything that the rows depend on."""
    objective = self._objective
    parts = (
      ROWS_VERSION,
      *self._identity,
      objective.input_format,
      objective.next_sentence,
      objective.short_rate,
      self.seq_length,
      self.num_packs,
      # Rows that were planned before the field existed have no such part.
      *((objective.static_copies,) if objective.static_copies else ()),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()

  @property
  def random_label(self) -> int:
    """Label of a pair with a random second segment; -1 where none is random."""
    return PAIR_OBJECTIVES[self._objective.next_sentence].label("random")

  def rng(self, epoch: int, block: int) -> HostRng:
    """Return the random numbers of a block in an epoch."""
    return HostRng(*self._identity, epoch, block)

  def _rng_of_copy(self, epoch: int, block: int) -> HostRng:
    """Return those that its examples and their masks are drawn with."""
    copies = self._objective.static_copies
    return self.rng(epoch % copies if copies else epoch, block)

  def block_order(self, epoch: int) -> np.ndarray:
    """Return the blocks in the order in which an epoch visits them."""
    rng = HostRng(*self._identity, epoch, "blocks")
    return rng.permutation("order", self.split.num_blocks)

  def examples(self, epoch: int, block: int) -> Examples:
    """Plan the examples of a block, before packing."""
    return plan_examples(
      self.split,
      block,
      self._objective,
      self.seq_length,
      self._rng_of_copy(epoch, block),
      self.template,
    )

  def rows(self, epoch: int, block: int) -> Rows:
    """Plan the rows of a block, in the order in which they are taken."""
    return self._pack(epoch, block, self.examples(epoch, block))

  def count_rows(self, epoch: int, block: int) -> int:
    """Count the rows of a block, which is cheaper than to plan them."""
    lengths = self.examples(epoch, block).lengths()
    return count_rows(lengths, self.seq_length, self.num_packs)

  def _pack(self, epoch: int, block: int, examples: Examples) -> Rows:
    order_E, examples_N = pack_examples(
      examples.lengths(),
      self.seq_length,
      self.num_packs,
      self.rng(epoch, block),
    )
    keys = self._rng_of_copy(epoch, block).keys
    first_E = np.cumsum(examples.segments_E) - examples.segments_E
    segments_E = examples.segments_E[order_E]
    order_K = flatten_ranges(first_E[order_E], segments_E)
    return Rows(
      examples_N=examples_N,
      keys_E2=keys("masks", examples.ids_E)[order_E],
      labels_E=examples.labels_E[order_E],
      segments_E=segments_E,
      specials_E=examples.specials_E[order_E],
      address_K=examples.address_K[order_K],
      length_K=examples.length_K[order_K],
      type_K=examples.type_K[order_K],
    )

  @functools.cached_property
  def _sample(self) -> dict[int, Examples]:
    """A few blocks and their examples; a large index is not read whole."""
    blocks = sample_blocks(self.split.num_blocks)
    return {block: self.examples(0, block) for block in blocks}

  @functools.cached_property
  def _sample_rows(self) -> int:
    """The number of rows of the sample."""
    return sum(
      len(self._pack(0, block, examples))
      for block, examples in self._sample.items()
    )

  @functools.cached_property
  def examples_by_length(self) -> np.ndarray:
    """The examples of each length in a row, a mean over what is reported on.

    The index is tokens, special ones included, up to those of a row.
    """
    lengths = np.concatenate([each.lengths() for each in self._sample.values()])
    counts = np.bincount(lengths, minlength=self.seq_length + 1)
    return counts / self._sample_rows

  @functools.cached_property
  def report(self) -> Mapping[str, float]:
    """Statistics of the rows, from at most four blocks of the first epoch.

    `mean_example_length` is in tokens, special ones included. `num_packs` and
    `examples_per_row` are of a row. `efficiency` is the share of positions
    without padding. `random_share` is the share of examples with a random
    second segment, `truncated_share` the share of the blocks' tokens that are
    in no example, `random_token_share` the tokens of random segments over the
    blocks' tokens. `own_tokens_per_row` and `random_tokens_per_row` are their
    tokens in a row, without special ones. `examples_per_epoch` and
    `rows_per_epoch` are estimates unless the split has at most four blocks.
    """
    blocks, sample = self._sample.keys(), self._sample.values()
    lengths = np.concatenate([examples.lengths() for examples in sample])
    rows = self._sample_rows
    starts = self.split.blocks[:, 3]
    own = sum(int(starts[block + 1] - starts[block]) for block in blocks)
    total = lambda name: sum(getattr(examples, name) for examples in sample)
    return {
      "mean_example_length": float(lengths.mean()),
      "num_packs": self.num_packs,
      "examples_per_row": len(lengths) / rows,
      "efficiency": float(lengths.sum()) / (rows * self.seq_length),
      "random_share": total("random_examples") / len(lengths),
      "truncated_share": total("truncated") / own,
      "random_token_share": total("random_tokens") / own,
      "own_tokens_per_row": (own - total("truncated")) / rows,
      "random_tokens_per_row": total("random_tokens") / rows,
      "examples_per_epoch": len(lengths) * self.split.num_tokens / own,
      "rows_per_epoch": rows * self.split.num_tokens / own,
    }


def plan_examples(
  split: Split,
  block: int,
  objective: ObjectiveConfig,
  seq_length: int,
  rng: HostRng,
  template: Template,
) -> Examples:
  """Plan every example of one block; reads no tokens.

  `rng` must be keyed by seed, epoch and block, and not by the objective, so
  that the arms of an ablation share their draws. The special tokens of
  `template` take their part of `seq_length`.
  """
  text = read_text(split, block)
  if objective.input_format in PAIR_FORMATS:
    return plan_pairs(split, text, objective, seq_length, rng, template)
  return plan_singles(text, objective, seq_length, rng, template)
