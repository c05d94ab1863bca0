# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of transformers' names, whole and true."""

import dataclasses

import numpy as np
import pytest

from bertjax.interop.architectures import ARCHITECTURES, shapes
from bertjax.interop.bert import (
  ACTIVATIONS,
  ACTIVATIONS_BACK,
  TABLE,
  check_is_bert,
  pairs,
)
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL


def test_the_table_names_every_parameter_once():
  names = {name for kind in ARCHITECTURES for name in shapes(kind, SMALL, 3)}
  assert sorted(entry.ours for entry in TABLE) == sorted(names)
  theirs = [entry.theirs for entry in TABLE]
  assert len(set(theirs)) == len(theirs)


def test_a_stacked_parameter_has_a_name_for_each_layer():
  found = list(pairs(SMALL, ("encoder",)))
  names = [name for _, _, name in found]
  assert len(set(names)) == len(names)
  for entry, index, name in found:
    layer = f".layer.{index}." if entry.row.is_stacked else ""
    assert name == entry.theirs.replace(".layer.L.", layer), name
  rows = [entry for entry in TABLE if entry.row.part == "encoder"]
  stacked = sum(entry.row.is_stacked for entry in rows)
  assert len(found) == len(rows) + stacked * (SMALL.num_layers - 1)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS_BACK))
def test_activations_are_what_transformers_means(name):
  torch = pytest.importorskip("torch")
  activations = pytest.importorskip("transformers.activations")
  ours = ACTIVATIONS[ACTIVATIONS_BACK[name]]
  x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
  one, other = (activations.ACT2FN[each](x) for each in (name, ours))
  np.testing.assert_allclose(one, other, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", CONFIGS)
def test_other_encoders_have_no_place_in_berts_layout(name):
  """Or the fields that differ would be dropped from its files."""
  check_is_bert(SMALL)
  if name == "bert":
    check_is_bert(CONFIGS[name])
    return
  with pytest.raises(
    ValueError, match=r"^model\.\w+=\S+ is not of BERT, .* --format=bundle$"
  ):
    check_is_bert(CONFIGS[name])


@pytest.mark.parametrize(
  ("changes", "name"),
  [
    ({"activation": "silu"}, "activation=silu"),
    ({"type_vocab_size": 0}, "type_vocab_size=0"),
    ({"pooler": False}, "pooler=False"),
  ],
)
def test_the_choice_that_bert_does_not_have_is_named(changes, name):
  with pytest.raises(ValueError, match=rf"^model\.{name} is not of BERT"):
    check_is_bert(dataclasses.replace(SMALL, **changes))
