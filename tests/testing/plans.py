# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plan examples of made-up stores, and say where their tokens are."""

import numpy as np

from bertjax.config import ObjectiveConfig
from data_pipelines.host_rng import HostRng
from data_pipelines.rows.planner import Planner, plan_examples
from tests.testing.synthetic import BERT

CELLS = [
  ("segment_pair", "nsp"),
  ("segment_pair", "off"),
  ("segment_pair", "sop"),
  ("sentence_pair", "nsp"),
  ("sentence_pair", "off"),
  ("sentence_pair", "sop"),
  ("full_sentences", "off"),
  ("doc_sentences", "off"),
]


LENGTHS = (16, 64, 512)


def objective(form, task, short_rate=0.1):
  return ObjectiveConfig(
    input_format=form, next_sentence=task, short_rate=short_rate
  )


def plan(split, block, chosen, seq_length, seed=0, epoch=0, template=BERT):
  return plan_examples(
    split, block, chosen, seq_length, HostRng("a", seed, epoch, block), template
  )


def make_planner(store, chosen, seq_length):
  return Planner(
    store,
    "train",
    objective=chosen,
    seq_length=seq_length,
    max_packs=1,
    seed=0,
  )


def segments(examples):
  """Per example its segments as (type, addresses of its tokens)."""
  ends = np.cumsum(examples.segments_E)
  return [
    [
      (
        int(examples.type_K[k]),
        np.arange(
          examples.address_K[k], examples.address_K[k] + examples.length_K[k]
        ),
      )
      for k in range(end - count, end)
    ]
    for end, count in zip(ends, examples.segments_E, strict=True)
  ]


def own(examples):
  """Addresses of own text, per example: all but a random second segment."""
  return [
    np.concatenate([at for kind, at in found if not (label == 1 and kind == 1)])
    for label, found in zip(examples.labels_E, segments(examples), strict=True)
  ]
