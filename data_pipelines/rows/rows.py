# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Examples of a block, planned from sentence lengths alone.

Every sentence of the block is own text of
exactly one example; a random second segment is drawn on top.

Suffixes: E examples of a block, K their segments, N sentences of the block.
"""

import numpy as np

from bertjax.config import (
  INPUT_FORMATS,
  NEXT_SENTENCE,
  PAIR_FORMATS,
  ObjectiveConfig,
)
from data_pipelines.draws import Draws
from data_pipelines.rows.examples import (
  BlockText,
  Examples,
  count_front,
  draw_targets,
  follow,
  read_text,
)
from data_pipelines.rows.pairs import plan_pairs
from data_pipelines.store.store import Split

MIN_SEQ_LENGTH = 8


def check_rows(
  objective: ObjectiveConfig, seq_length: int, split: Split
) -> None:
  """Refuse what no row can be made of.

  Raises:
    ValueError: an unknown or contradictory objective, too short a sequence,
      or nsp on fewer than two documents.
  """
  form, task = objective.input_format, objective.next_sentence
  if form not in INPUT_FORMATS:
    raise ValueError(
      f"objective.input_format={form!r}; give one of {', '.join(INPUT_FORMATS)}"
    )
  if task not in NEXT_SENTENCE:
    raise ValueError(
      f"objective.next_sentence={task!r}; give one of "
      f"{', '.join(NEXT_SENTENCE)}"
    )
  if task != "off" and form not in PAIR_FORMATS:
    raise ValueError(
      f"objective.next_sentence={task!r} needs pairs and "
      f"objective.input_format={form!r} has none; give "
      f"{' or '.join(PAIR_FORMATS)}, or next_sentence=off"
    )
  if not 0 <= objective.short_rate <= 1:
    raise ValueError(
      f"objective.short_rate={objective.short_rate}; give 0 to 1"
    )
  if seq_length < MIN_SEQ_LENGTH:
    raise ValueError(
      f"data.seq_length={seq_length}; give at least {MIN_SEQ_LENGTH}"
    )
  if task == "nsp" and split.num_documents < 2:
    raise ValueError(
      f"split {split.name!r} has {split.num_documents} document; "
      "objective.next_sentence=nsp needs two: give more text or "
      "next_sentence=off"
    )


def plan_examples(
  split: Split,
  block: int,
  objective: ObjectiveConfig,
  seq_length: int,
  draws: Draws,
) -> Examples:
  """Plan every example of one block; reads no tokens.

  `draws` must be keyed by seed, epoch and block, and not by the objective,
  so that the arms of an ablation share their chances.
  """
  text = read_text(split, block)
  if objective.input_format in PAIR_FORMATS:
    return plan_pairs(split, text, objective, seq_length - 3, draws)
  return _plan_singles(text, objective, seq_length - 2, draws)


def _plan_singles(
  text: BlockText, objective: ObjectiveConfig, budget: int, draws: Draws
) -> Examples:
  """Full sentences up to the budget (RoBERTa, Liu et al. 2019, section 4.2).

  `full_sentences` goes on across documents, with a [SEP] between them, and
  reads them in another order each epoch; `doc_sentences` stops at their ends.
  """
  crossing = objective.input_format == "full_sentences"
  if crossing:
    text = _shuffle_documents(text, draws)
  size = len(text.length_N)
  ends_N1 = text.ends_N1
  targets_N = draw_targets(objective, budget, size, draws)
  # Each boundary that is crossed costs a [SEP].
  costs_N = ends_N1[1:] + text.document_N
  limit_N = ends_N1[:-1] + text.document_N + targets_N
  stop_N = np.searchsorted(costs_N, limit_N, "right")
  stop_N = np.maximum(stop_N, np.arange(size) + 1)
  if not crossing:
    stop_N = np.minimum(stop_N, text.end_N)
  first_E = follow(stop_N)
  starts = np.diff(text.document_N, prepend=-1) > 0
  starts[first_E] = True
  first_K = np.flatnonzero(starts)
  length_K = np.diff(ends_N1[np.append(first_K, size)])
  # Only a sentence that fills an example by itself can be too long.
  removed_K = np.maximum(length_K - budget, 0)
  front_K = count_front(draws, "front 0", removed_K)
  return Examples(
    ids_E=text.id_N[first_E],
    labels_E=np.full(len(first_E), -1),
    segments_E=np.diff(np.searchsorted(first_K, np.append(first_E, size))),
    address_K=text.address_N1[first_K] + front_K,
    length_K=length_K - removed_K,
    type_K=np.zeros_like(first_K),
    truncated=int(removed_K.sum()),
    random_examples=0,
    random_tokens=0,
  )


def _shuffle_documents(text: BlockText, draws: Draws) -> BlockText:
  order = draws.order("documents", len(text.own_D))
  rank = np.argsort(order)
  order_N = np.argsort(rank[text.document_N], kind="stable")
  counts = np.bincount(text.document_N)[order]
  return BlockText(
    length_N=text.length_N[order_N],
    address_N1=np.append(text.address_N1[order_N], 0),
    id_N=text.id_N[order_N],
    document_N=np.repeat(np.arange(len(order)), counts),
    end_N=np.repeat(np.cumsum(counts), counts),
    own_D=text.own_D[order],
  )
