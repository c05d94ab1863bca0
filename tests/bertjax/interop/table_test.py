# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a table of names, spelled out for each layer."""

from bertjax.interop.families.albert import ALBERT
from bertjax.interop.families.bert import BERT
from bertjax.interop.families.modernbert import MODERNBERT
from bertjax.interop.table import pairs
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL


def test_a_stacked_parameter_has_a_name_for_each_layer():
  found = list(pairs(BERT.table, SMALL, ("encoder",)))
  names = [name for _, _, name in found]
  assert len(set(names)) == len(names)
  for entry, index, name in found:
    layer = f".layer.{index}." if entry.row.is_stacked else ""
    assert name == entry.theirs.replace(".layer.L.", layer), name
  rows = [entry for entry in BERT.table if entry.row.part == "encoder"]
  stacked = sum(entry.row.is_stacked for entry in rows)
  assert len(found) == len(rows) + stacked * (SMALL.num_layers - 1)


def test_a_group_of_layers_is_named_once():
  config = CONFIGS["albert"]
  assert config.num_layers > config.num_stacked == 1
  found = [
    index
    for entry, index, _ in pairs(ALBERT.table, config, ("encoder",))
    if entry.row.is_stacked
  ]
  assert {*found} == {0}


def test_a_layer_without_a_parameter_has_no_name_for_it():
  config = CONFIGS["modernbert"]
  norms = [
    index
    for entry, index, _ in pairs(MODERNBERT.table, config, ("encoder",))
    if entry.ours.endswith("attention_layer_norm/scale")
  ]
  assert norms == list(range(1, config.num_layers))
