# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plan examples without pairs: full_sentences and doc_sentences.

Suffixes: E examples of a block, K their segments, N sentences of the block.
"""

import numpy as np

from bertjax.config import ObjectiveConfig
from data_pipelines.host_rng import HostRng
from data_pipelines.rows.examples import (
  BlockText,
  Examples,
  count_front,
  draw_targets,
  follow,
)
from data_pipelines.tokenizers.template import Template


def plan_singles(
  text: BlockText,
  objective: ObjectiveConfig,
  seq_length: int,
  rng: HostRng,
  template: Template,
) -> Examples:
  """Fill examples with whole sentences (RoBERTa, Liu et al. 2019, section 4.2).

  `full_sentences` continues across documents, each of which ends with what a
  text ends with, and reads the documents in another order each epoch;
  `doc_sentences` ends an example where its document ends.

  Args:
    text: sentences of a block.
    objective: `input_format` and `short_rate` decide.
    seq_length: tokens of an example, special tokens included.
    rng: keyed by seed, epoch and block.
    template: the special tokens of an example.
  """
  budget, end = seq_length - template.count(pair=False), len(template.last)
  crossing = objective.input_format == "full_sentences"
  if crossing:
    text = _shuffle_documents(text, rng)
  size = len(text.length_N)
  ends_N1 = text.ends_N1
  targets_N = draw_targets(objective, budget, size, rng)
  # Each document boundary inside an example costs the end of a text.
  costs_N = ends_N1[1:] + end * text.document_N
  limit_N = ends_N1[:-1] + end * text.document_N + targets_N
  stop_N = np.searchsorted(costs_N, limit_N, "right")
  stop_N = np.maximum(stop_N, np.arange(size) + 1)
  if not crossing:
    stop_N = np.minimum(stop_N, text.end_N)
  first_E = follow(stop_N)
  starts = np.diff(text.document_N, prepend=-1) > 0
  starts[first_E] = True
  first_K = np.flatnonzero(starts)
  length_K = np.diff(ends_N1[np.append(first_K, size)])
  # Only a single sentence can exceed the budget.
  removed_K = np.maximum(length_K - budget, 0)
  front_K = count_front(rng, "front 0", removed_K)
  segments_E = np.diff(np.searchsorted(first_K, np.append(first_E, size)))
  return Examples(
    ids_E=text.id_N[first_E],
    labels_E=np.full(len(first_E), -1),
    segments_E=segments_E,
    specials_E=len(template.first) + end * segments_E,
    address_K=text.address_N1[first_K] + front_K,
    length_K=length_K - removed_K,
    type_K=np.zeros_like(first_K),
    truncated=int(removed_K.sum()),
    random_examples=0,
    random_tokens=0,
  )


def _shuffle_documents(text: BlockText, rng: HostRng) -> BlockText:
  order = rng.permutation("documents", len(text.own_D))
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
