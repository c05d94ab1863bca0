# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Published results that a study can be seen beside, with their sources.

They are of other models, texts and budgets: what compares is their order.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bertjax.config import SweepConfig, flatten_fields, to_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import axes
from bertjax.trials.results import JsonResult

_DEVLIN = (
  "Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional "
  "Transformers for Language Understanding"
)
_LIU = (
  "Liu et al. (2019), RoBERTa: A Robustly Optimized BERT Pretraining Approach"
)


@dataclasses.dataclass(frozen=True)
class Row(JsonResult):
  """A published row.

  Attributes:
    name: what it is of.
    values: its numbers, in the order of the columns.
    fields: what an arm has that trains the same way; {} if none can.
    arms: arms of the study that do.
  """

  name: str
  values: tuple[float, ...]
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  arms: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Published(JsonResult):
  """A published table.

  Attributes:
    source: paper and table.
    about: what was trained, and what the numbers are.
    axes: a study of one of these fields is seen beside the table.
    columns: names of the numbers.
    rows: in the order of the paper.
  """

  source: str
  about: str
  axes: tuple[str, ...]
  columns: tuple[str, ...]
  rows: tuple[Row, ...]


def _pairs(form: str, next_sentence: str) -> dict[str, Any]:
  fields: dict[str, Any] = {
    "objective.input_format": form,
    "objective.next_sentence": next_sentence,
  }
  if next_sentence != "off":
    fields["objective.next_sentence_weight"] = 1.0
  return fields


def _masks(mask: int, random: int) -> dict[str, Any]:
  return {
    "objective.mask_unit": "token",
    "objective.mask_token_rate": mask / 100,
    "objective.random_token_rate": random / 100,
    # Arms with static masks differ in those, too.
    "objective.static_copies": 0,
  }


# A row of a table of pairs: its name, its values, and its pairs; none if no arm
# can have them.
_PairRow = tuple[str, tuple[float, ...], tuple[str, str] | None]


def _pair_table(
  source: str, columns: tuple[str, ...], *rows: _PairRow
) -> Published:
  """Return a table of how pairs are made, scored on tasks."""
  return Published(
    source,
    "Base size, on dev: F1 on SQuAD, accuracy else.",
    (
      "objective.next_sentence",
      "objective.next_sentence_weight",
      "objective.input_format",
    ),
    columns,
    tuple(
      Row(name, values, _pairs(*pairs) if pairs else {})
      for name, values, pairs in rows
    ),
  )


TABLES = (
  _pair_table(
    f"{_LIU}, table 2",
    ("SQuAD 1.1", "SQuAD 2.0", "MNLI-m", "SST-2", "RACE"),
    (
      "segment pair, with NSP",
      (90.4, 78.7, 84.0, 92.9, 64.2),
      ("segment_pair", "nsp"),
    ),
    (
      "sentence pair, with NSP",
      (88.7, 76.2, 82.9, 92.1, 63.0),
      ("sentence_pair", "nsp"),
    ),
    (
      "full sentences, no NSP",
      (90.4, 79.1, 84.7, 92.5, 64.8),
      ("full_sentences", "off"),
    ),
    (
      "doc sentences, no NSP",
      (90.6, 79.7, 84.7, 92.7, 65.6),
      ("doc_sentences", "off"),
    ),
  ),
  _pair_table(
    f"{_DEVLIN}, table 5",
    ("MNLI-m", "QNLI", "MRPC", "SST-2", "SQuAD"),
    (
      "masked LM and NSP",
      (84.4, 88.4, 86.7, 92.7, 88.5),
      ("segment_pair", "nsp"),
    ),
    ("no NSP", (83.9, 84.9, 86.5, 92.6, 87.9), ("segment_pair", "off")),
    ("left to right, no NSP", (82.1, 84.3, 77.5, 92.1, 77.8), None),
  ),
  Published(
    f"{_DEVLIN}, table 8",
    "Shares of [MASK], of the token itself and of a random token; accuracy on "
    "MNLI, F1 of named entities (NER).",
    (
      "objective.mask_unit",
      "objective.mask_token_rate",
      "objective.random_token_rate",
    ),
    ("MNLI", "NER, fine-tuned", "NER, features"),
    (
      Row("80 / 10 / 10", (84.2, 95.4, 94.9), _masks(80, 10)),
      Row("100 / 0 / 0", (84.3, 94.9, 94.0), _masks(100, 0)),
      Row("80 / 0 / 20", (84.1, 95.2, 94.6), _masks(80, 20)),
      Row("80 / 20 / 0", (84.4, 95.2, 94.7), _masks(80, 0)),
      Row("0 / 20 / 80", (83.7, 94.8, 94.6), _masks(0, 80)),
      Row("0 / 0 / 100", (83.6, 94.9, 94.6), _masks(0, 100)),
    ),
  ),
  Published(
    f"{_DEVLIN}, table 6",
    "Layers and width; perplexity of masked tokens, accuracy on dev.",
    ("model.num_layers", "model.hidden_size"),
    ("perplexity", "MNLI-m", "MRPC", "SST-2"),
    (
      Row("3, 768", (5.84, 77.9, 79.8, 88.4)),
      Row("6, 768", (4.68, 81.9, 84.8, 91.3)),
      Row("12, 768", (3.99, 84.4, 86.7, 92.9)),
      Row("24, 1024", (3.23, 86.6, 87.8, 93.7)),
    ),
  ),
  Published(
    f"{_LIU}, table 3",
    "Equal passes over the data; perplexity of masked tokens, accuracy on dev.",
    ("batch_size",),
    ("perplexity", "MNLI-m"),
    (
      Row("batches of 256", (3.99, 84.7)),
      Row("batches of 2,000", (3.68, 85.2)),
    ),
  ),
)


def find_published(config: SweepConfig) -> list[Published]:
  """Return the tables that are about the axes of an expanded study."""
  if config.trains == "finetune":
    return []
  asked = {*axes(config)}
  arms = {
    arm: flatten_fields(
      to_mapping(study.pretrain_config(config, arm, config.seed))
    )
    for arm in config.chosen
  }
  return [
    dataclasses.replace(
      table,
      rows=tuple(
        dataclasses.replace(row, arms=_alike(row, arms)) for row in table.rows
      ),
    )
    for table in TABLES
    if asked & {*table.axes}
  ]


def _alike(row: Row, arms: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
  """Return the arms that have the fields of a row."""
  return tuple(
    arm
    for arm, fields in arms.items()
    if row.fields
    and all(fields.get(name) == value for name, value in row.fields.items())
  )
