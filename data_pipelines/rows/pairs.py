# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Planning pairs of segments, A and B.

Suffixes: E examples of a block, N sentences of the block.
"""

from typing import NamedTuple

import numpy as np

from bertjax.config import ObjectiveConfig
from data_pipelines.draws import Draws
from data_pipelines.rows.examples import (
  BlockText,
  Examples,
  count_front,
  draw_targets,
  follow,
)
from data_pipelines.store.store import LENGTH, Split


def plan_pairs(
  split: Split,
  text: BlockText,
  objective: ObjectiveConfig,
  budget: int,
  draws: Draws,
) -> Examples:
  """Segment A and B (google-research/bert, create_pretraining_data.py).

  Different from there: the partner of a random B is never the document
  itself, so that its label is always true.
  """
  spans = _choose_spans(text, objective, budget, draws)
  ends_E3 = text.ends_N1[np.stack((spans.first, spans.middle, spans.stop), 1)]
  length_E2 = np.diff(ends_E3, axis=1)
  address_E2 = text.address_N1[np.stack((spans.first, spans.middle), axis=1)]
  random = np.flatnonzero(spans.random)
  if len(random):
    address_E2[random, 1], length_E2[random, 1] = _draw_partners(
      split,
      text.own_D[text.document_N[spans.first[random]]],
      spans.target[random] - length_E2[random, 0],
      draws,
    )
  removed_E2 = _truncate(length_E2, budget)
  for side in (0, 1):
    address_E2[:, side] += count_front(
      draws, f"front {side}", removed_E2[:, side]
    )
  length_E2 -= removed_E2
  labels_E = _label_pairs(objective, spans.random, length_E2, draws)
  if objective.next_sentence == "sop":
    swapped = labels_E == 1
    address_E2[swapped] = address_E2[swapped][:, ::-1]
    length_E2[swapped] = length_E2[swapped][:, ::-1]
  used_E2 = length_E2 > 0
  return Examples(
    ids_E=text.id_N[spans.first],
    labels_E=labels_E,
    segments_E=used_E2.sum(axis=1),
    address_K=address_E2[used_E2],
    length_K=length_E2[used_E2],
    type_K=np.nonzero(used_E2)[1],
    truncated=int(removed_E2.sum() - removed_E2[random, 1].sum()),
    random_examples=len(random),
    random_tokens=int(length_E2[random, 1].sum()),
  )


_STRETCH = 2048  # tokens of a document that share a target length


class _Spans(NamedTuple):
  """Own sentences of each example: A is first … middle, a true B … stop."""

  first: np.ndarray
  middle: np.ndarray
  stop: np.ndarray
  target: np.ndarray  # tokens of A and B aimed at
  random: np.ndarray  # bool: B is drawn, and the example ends at the middle


def _choose_spans(
  text: BlockText, objective: ObjectiveConfig, budget: int, draws: Draws
) -> _Spans:
  """Cut a block into pairs.

  What an example that starts at a sentence would be is computed for all
  sentences at once; then the chain of those that do start one is followed.
  """
  nsp = objective.next_sentence == "nsp"
  size = len(text.length_N)
  ends_N1, first_N = text.ends_N1, np.arange(size)
  target_N = draw_document_targets(objective, text, budget, draws)
  pair_N = np.minimum(first_N + 2, text.end_N)
  if objective.input_format == "sentence_pair":
    stop_N, target_N = pair_N, np.ones_like(target_N)
  else:
    stop_N = np.searchsorted(ends_N1, ends_N1[:-1] + target_N)
    stop_N = np.minimum(stop_N, text.end_N)
    # A true continuation has at least a sentence, as a random one has.
    stop_N = stop_N if nsp else np.maximum(stop_N, pair_N)
  several_N = stop_N - first_N - 1
  middle_N = first_N + 1 + draws.below("middle", several_N)
  random_N = nsp & ((several_N == 0) | (draws.uniform("random", size) < 0.5))
  first_E = follow(np.where(random_N, middle_N, stop_N))
  chosen = (
    values[first_E] for values in (middle_N, stop_N, target_N, random_N)
  )
  return _Spans(first_E, *chosen)


def draw_document_targets(
  objective: ObjectiveConfig, text: BlockText, budget: int, draws: Draws
) -> np.ndarray:
  """Tokens of A and B that an example which starts at each sentence aims at.

  One draw a document, as in the reference, and another one every 2,048 tokens
  of a long one: a book whose examples all have 100 tokens fills no rows.
  """
  before_N = text.ends_N1[:-1]
  starts_N = np.diff(text.document_N, prepend=-1) > 0
  document_N = np.cumsum(starts_N) - 1
  stretch_N = (before_N - before_N[starts_N][document_N]) // _STRETCH
  new_N = starts_N | (np.diff(stretch_N, prepend=0) != 0)
  part_N = np.cumsum(new_N) - 1
  return draw_targets(objective, budget, part_N[-1] + 1, draws)[part_N]


def _label_pairs(
  objective: ObjectiveConfig,
  random_E: np.ndarray,
  length_E2: np.ndarray,
  draws: Draws,
) -> np.ndarray:
  if objective.next_sentence == "nsp":
    return random_E.astype(np.int64)
  if objective.next_sentence == "sop":
    swapped = draws.uniform("swap", len(random_E)) < 0.5
    # The lone last sentence of a document has nothing to be swapped with.
    return np.where(length_E2[:, 1] > 0, swapped, -1)
  return np.full(len(random_E), -1)


def _draw_partners(
  split: Split, own: np.ndarray, wanted: np.ndarray, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
  """Address and length of a random B for each document in `own`.

  From a random sentence of a uniformly drawn other document of the split,
  whole sentences until `wanted` tokens are reached or the document ends.
  """
  drawn = draws.below("document", np.full(len(own), split.num_documents - 1))
  drawn += drawn >= own
  first, last = split.documents[drawn], split.documents[drawn + 1]
  sentence = first + draws.below("sentence", last - first)
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
  """Tokens to cut from A and B where the longer one loses token by token.

  At equal lengths B is cut (truncate_seq_pair of the reference): first the
  longer is brought down to the shorter, then both lose in turn, B first.
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
