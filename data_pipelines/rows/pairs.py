# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plan pairs of segments, A and B: segment_pair and sentence_pair.

Suffixes: E examples of a block, N sentences of the block.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bertjax.config import PAIR_CLASSES, ObjectiveConfig
from data_pipelines.host_rng import HostRng
from data_pipelines.rows.examples import (
  BlockText,
  Examples,
  count_front,
  draw_targets,
  follow,
)
from data_pipelines.store.layout import LENGTH
from data_pipelines.store.store import Split
from data_pipelines.tokenizers.template import Template

_STRETCH = 2048  # tokens of a document that share a target length


class PairObjective(NamedTuple):
  """How an objective draws the second segment of a pair, and labels the pair.

  Attributes:
    labels: what each label value means; see `PAIR_CLASSES` of the config.
    random_rate: probability of a random B. An example without a continuation
      has a random B whenever this is above 0.
    swap_rate: probability that an example without a random B is swapped.
  """

  labels: tuple[str, ...] = ()
  random_rate: float = 0.0
  swap_rate: float = 0.0

  def label(self, meaning: str) -> int:
    """Return the label value of a meaning; -1 where there is none."""
    return self.labels.index(meaning) if meaning in self.labels else -1


# Next sentence prediction (Devlin et al., 2019, section 3.1), sentence order
# prediction (Lan et al., 2020, section 3.1).
PAIR_OBJECTIVES: Mapping[str, PairObjective] = {
  "off": PairObjective(PAIR_CLASSES["off"]),
  "nsp": PairObjective(PAIR_CLASSES["nsp"], random_rate=0.5),
  "sop": PairObjective(PAIR_CLASSES["sop"], swap_rate=0.5),
}
assert set(PAIR_OBJECTIVES) == set(PAIR_CLASSES)


def check_partners(objective: ObjectiveConfig, split: Split) -> None:
  """Check that a split has the documents that random partners come from.

  Raises:
    ValueError: the objective draws partners and there is only one document.
  """
  name = objective.next_sentence
  if PAIR_OBJECTIVES[name].random_rate and split.num_documents < 2:
    raise ValueError(
      f"split {split.name!r} has {split.num_documents} document; "
      f"objective.next_sentence={name} needs two: give more text or "
      "objective.next_sentence=off"
      + (", or prepare with --validation=0" * (split.name == "validation"))
    )


def plan_pairs(
  split: Split,
  text: BlockText,
  objective: ObjectiveConfig,
  seq_length: int,
  rng: HostRng,
  template: Template,
) -> Examples:
  """Plan segments A and B (google-research/bert, create_pretraining_data.py).

  Unlike the reference, a random B never comes from the document of its A, so
  that its label is always true.

  Args:
    split: where random partners are drawn from.
    text: sentences of a block of this split.
    objective: `next_sentence`, `input_format` and `short_rate` decide.
    seq_length: tokens of an example, special tokens included.
    rng: keyed by seed, epoch and block.
    template: the special tokens of an example.
  """
  budget = seq_length - template.count(pair=True)
  pair = PAIR_OBJECTIVES[objective.next_sentence]
  spans = _choose_spans(text, objective, budget, rng)
  ends_E3 = text.ends_N1[np.stack((spans.first, spans.middle, spans.stop), 1)]
  length_E2 = np.diff(ends_E3, axis=1)
  address_E2 = text.address_N1[np.stack((spans.first, spans.middle), axis=1)]
  random = np.flatnonzero(spans.random)
  if len(random):
    address_E2[random, 1], length_E2[random, 1] = _draw_partners(
      split,
      text.own_D[text.document_N[spans.first[random]]],
      spans.target[random] - length_E2[random, 0],
      rng,
    )
  removed_E2 = _truncate(length_E2, budget)
  for side in (0, 1):
    address_E2[:, side] += count_front(
      rng, f"front {side}", removed_E2[:, side]
    )
  length_E2 -= removed_E2
  labels_E = _label_pairs(pair, spans.random, length_E2, rng)
  if pair.swap_rate:
    swapped = labels_E == pair.label("swapped")
    address_E2[swapped] = address_E2[swapped][:, ::-1]
    length_E2[swapped] = length_E2[swapped][:, ::-1]
  used_E2 = length_E2 > 0
  counts = np.array([template.count(pair=pair) for pair in (False, True)])
  return Examples(
    ids_E=text.id_N[spans.first],
    labels_E=labels_E,
    segments_E=used_E2.sum(axis=1),
    specials_E=counts[used_E2.sum(axis=1) - 1],
    address_K=address_E2[used_E2],
    length_K=length_E2[used_E2],
    type_K=np.nonzero(used_E2)[1],
    truncated=int(removed_E2.sum() - removed_E2[random, 1].sum()),
    random_examples=len(random),
    random_tokens=int(length_E2[random, 1].sum()),
  )


class _Spans(NamedTuple):
  """Sentences of each example: A is [first, middle), true B [middle, stop)."""

  first: np.ndarray
  middle: np.ndarray
  stop: np.ndarray
  target: np.ndarray  # tokens that A and B should have together
  random: np.ndarray  # bool: B is drawn, and the example ends at the middle


def _choose_spans(
  text: BlockText, objective: ObjectiveConfig, budget: int, rng: HostRng
) -> _Spans:
  """Cut a block into pairs.

  The example that would start at a sentence is computed for every sentence at
  once; then the chain from each example to the start of the next is followed.
  """
  random_rate = PAIR_OBJECTIVES[objective.next_sentence].random_rate
  size = len(text.length_N)
  ends_N1, first_N = text.ends_N1, np.arange(size)
  target_N = draw_document_targets(objective, text, budget, rng)
  pair_N = np.minimum(first_N + 2, text.end_N)
  if objective.input_format == "sentence_pair":
    stop_N, target_N = pair_N, np.ones_like(target_N)
  else:
    stop_N = np.searchsorted(ends_N1, ends_N1[:-1] + target_N)
    stop_N = np.minimum(stop_N, text.end_N)
    if not random_rate:
      # Where nothing replaces a missing B, the next sentence is always one.
      stop_N = np.maximum(stop_N, pair_N)
  several_N = stop_N - first_N - 1
  middle_N = first_N + 1 + rng.integers("middle", several_N)
  random_N = np.zeros(size, bool)
  if random_rate:
    random_N = (several_N == 0) | (rng.uniform("random", size) < random_rate)
  first_E = follow(np.where(random_N, middle_N, stop_N))
  chosen = (
    values[first_E] for values in (middle_N, stop_N, target_N, random_N)
  )
  return _Spans(first_E, *chosen)


def draw_document_targets(
  objective: ObjectiveConfig, text: BlockText, budget: int, rng: HostRng
) -> np.ndarray:
  """Draw the target length of an example that starts at each sentence.

  The reference draws one target a document. A book whose examples all have
  100 tokens would fill no rows, so every 2,048 tokens have a new draw.

  Returns:
    Tokens of A and B together: int64 [N].
  """
  before_N = text.ends_N1[:-1]
  starts_N = np.diff(text.document_N, prepend=-1) > 0
  document_N = np.cumsum(starts_N) - 1
  stretch_N = (before_N - before_N[starts_N][document_N]) // _STRETCH
  new_N = starts_N | (np.diff(stretch_N, prepend=0) != 0)
  part_N = np.cumsum(new_N) - 1
  return draw_targets(objective, budget, part_N[-1] + 1, rng)[part_N]


def _label_pairs(
  pair: PairObjective, random_E: np.ndarray, length_E2: np.ndarray, rng: HostRng
) -> np.ndarray:
  labels_E = np.full(len(random_E), pair.label("next"))
  if pair.swap_rate:
    swapped_E = rng.uniform("swap", len(random_E)) < pair.swap_rate
    labels_E[swapped_E] = pair.label("swapped")
  labels_E[random_E] = pair.label("random")
  # The last sentence of a document, alone in its example, is no pair.
  labels_E[length_E2[:, 1] == 0] = -1
  return labels_E


def _draw_partners(
  split: Split, own: np.ndarray, wanted: np.ndarray, rng: HostRng
) -> tuple[np.ndarray, np.ndarray]:
  """Draw a random B for each document number in `own`.

  B begins at a random sentence of another document of the split, drawn
  uniformly, and takes whole sentences until it has `wanted` tokens or its
  document ends.

  Returns:
    The address of each B, and its length in tokens.
  """
  drawn = rng.integers("document", np.full(len(own), split.num_documents - 1))
  drawn += drawn >= own
  first, last = split.documents[drawn], split.documents[drawn + 1]
  sentence = first + rng.integers("sentence", last - first)
  address = split.addresses(sentence)
  length = (split.sentences[sentence] & LENGTH).astype(np.int64)
  growing, at = np.arange(len(own)), sentence + 1
  while len(growing):
    more = (length[growing] < wanted[growing]) & (at < last[growing])
    growing, at = growing[more], at[more]
    length[growing] += split.sentences[at] & LENGTH
    at = at + 1
  return address, length


def _truncate(length_E2: np.ndarray, budget: int) -> np.ndarray:
  """Count the tokens to cut from A and B: int64 [E, 2].

  As truncate_seq_pair of the reference, which removes one token at a time from
  the longer segment, from B at equal lengths: the longer segment is cut to the
  length of the shorter, then both lose tokens in turn, B first.
  """
  excess = np.maximum(length_E2.sum(axis=1) - budget, 0)
  gap = length_E2[:, 0] - length_E2[:, 1]
  both = np.maximum(excess - np.abs(gap), 0)
  alone = excess - both
  return np.stack(
    (
      np.where(gap > 0, alone, 0) + both // 2,
      np.where(gap > 0, 0, alone) + (both + 1) // 2,
    ),
    axis=1,
  )
