# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pipelines of made-up stores, and the packs of their batches."""

import numpy as np

from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.evaluation import evaluation_batches
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.rows.planner import Planner
from tests.testing import synthetic

SEQ = 48


CLS, SEP, PAD = (synthetic.SPECIALS[name] for name in ("cls", "sep", "pad"))


CELLS = [
  ("segment_pair", "nsp"),
  ("segment_pair", "off"),
  ("segment_pair", "sop"),
  ("full_sentences", "off"),
]


def make(
  store,
  batch_size=12,
  seed=0,
  max_packs=0,
  cell=("segment_pair", "nsp"),
  short_rate=0.1,
):
  form, task = cell
  return PretrainingPipeline(
    store,
    "train",
    objective=ObjectiveConfig(
      input_format=form, next_sentence=task, short_rate=short_rate
    ),
    data=DataConfig(seq_length=SEQ, max_packs=max_packs),
    batch_size=batch_size,
    seed=seed,
  )


def make_planner(store, split, max_packs, cell=("segment_pair", "nsp")):
  form, task = cell
  return Planner(
    store,
    split,
    objective=ObjectiveConfig(input_format=form, next_sentence=task),
    seq_length=SEQ,
    max_packs=max_packs,
    seed=0,
  )


def assert_equal(left, right):
  assert left.keys() == right.keys()
  for name in left:
    np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def packs(batch):
  """Every real pack: its key, label, segments of places, and its row."""
  for row in range(len(batch["tokens_BS"])):
    for pack in range(batch["packs_BS"][row].max(initial=0)):
      at = np.flatnonzero(batch["packs_BS"][row] == pack + 1)
      yield {
        "row": row,
        "pack": pack,
        "at": at,
        "key": tuple(batch["key_BR2"][row, pack].tolist()),
        "label": int(batch["pair_label_BR"][row, pack]),
        "tokens": tuple(batch["tokens_BS"][row, at].tolist()),
        "types": tuple(batch["types_BS"][row, at].tolist()),
      }


def evaluate(store, batch_size=10, rows=0, max_packs=0):
  return evaluation_batches(
    store,
    "validation",
    objective=ObjectiveConfig(),
    data=DataConfig(seq_length=SEQ, max_packs=max_packs),
    batch_size=batch_size,
    rows=rows,
  )
