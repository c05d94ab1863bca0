# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Published tables beside a study."""

import dataclasses

import pytest

from bertjax.config import SweepConfig, flatten_fields, from_mapping, to_mapping
from bertjax.sweep.axes import expand
from configs.sweeps import (
  batch_and_lr,
  finetune,
  mask_rate,
  masking,
  nsp,
  packing,
  size,
)
from launch.sweep.published import TABLES, find_published


def tables(module):
  config = expand(from_mapping(SweepConfig, module.get_config().to_dict()))
  return find_published(config)


def test_rows_have_a_number_for_every_column_and_fields_that_exist():
  known = flatten_fields(to_mapping(SweepConfig().pretrain))
  for table in TABLES:
    assert "table" in table.source
    assert {*table.axes} <= {*known}
    for row in table.rows:
      assert len(row.values) == len(table.columns)
      assert {*row.fields} <= {*known}


@pytest.mark.parametrize(
  ("module", "numbers"),
  [
    (nsp, ["2", "5"]),
    (masking, ["8"]),
    (size, ["6"]),
    (batch_and_lr, ["3"]),
    (mask_rate, []),
    (packing, []),
    (finetune, []),
  ],
)
def test_a_study_is_seen_beside_what_was_published_of_its_axes(module, numbers):
  found = [table.source.rpartition(" ")[2] for table in tables(module)]
  assert found == numbers


def test_rows_name_the_arms_that_train_the_same_way():
  """Liu et al. (2019), table 2, and Devlin et al. (2019), table 5."""
  roberta, bert = tables(nsp)
  assert {row.name: row.arms for row in roberta.rows} == {
    "segment pair, with NSP": ("mlm_nsp",),
    "sentence pair, with NSP": ("sentence_mlm_nsp",),
    "full sentences, no NSP": ("full_sentences",),
    "doc sentences, no NSP": ("doc_sentences",),
  }
  assert [row.arms for row in bert.rows] == [("mlm_nsp",), ("mlm",), ()]
  (masks,) = tables(masking)
  assert [row.arms for row in masks.rows] == [
    ("token",),
    ("mask100_same0_random0",),
    ("mask80_same0_random20",),
    ("mask80_same20_random0",),
    ("mask0_same20_random80",),
    ("mask0_same0_random100",),
  ]


def test_a_table_is_read_back_as_it_was_written():
  table = dataclasses.replace(TABLES[1])
  assert type(table).from_json(table.to_json()) == table
