# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the rows of a store for each input format and length."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bertjax.config import ObjectiveConfig, choices
from data_pipelines.rows.pairs import PAIR_OBJECTIVES
from data_pipelines.rows.planner import Planner
from data_pipelines.store.store import Store

_TASKS = choices(ObjectiveConfig, "next_sentence")
# Input formats and pair objectives that the literature compares (Liu et al.,
# 2019, section 4.2; Lan et al., 2020, section 4.6): every pair objective on the
# default format, nsp first, and the other formats once.
FORMATS = (
  *(
    dataclasses.replace(ObjectiveConfig(), next_sentence=task)
    for task in sorted(_TASKS, key=lambda task: task != "nsp")
  ),
  ObjectiveConfig(input_format="sentence_pair", next_sentence="nsp"),
  ObjectiveConfig(input_format="full_sentences", next_sentence="off"),
  ObjectiveConfig(input_format="doc_sentences", next_sentence="off"),
)
SEQ_LENGTHS = (128, 512)


class FormatReport(NamedTuple):
  """Statistics of the rows of one format at one length.

  Attributes:
    input_format, next_sentence, seq_length: fields of the config.
    values: result of `Planner.report`.
  """

  input_format: str
  next_sentence: str
  seq_length: int
  values: Mapping[str, float]


def report_formats(store: Store) -> Iterator[FormatReport]:
  """Measure the training rows of every format, from at most four blocks each.

  Objectives with random partners need two documents and are left out of a
  store with one.
  """
  documents = store.split("train").num_documents
  for objective in FORMATS:
    if PAIR_OBJECTIVES[objective.next_sentence].random_rate and documents < 2:
      continue
    for seq_length in SEQ_LENGTHS:
      planner = Planner(
        store,
        "train",
        objective=objective,
        seq_length=seq_length,
        max_packs=0,
        seed=0,
      )
      yield FormatReport(
        objective.input_format,
        objective.next_sentence,
        seq_length,
        planner.report,
      )
