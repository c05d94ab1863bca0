# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The families, told apart by shapes, by config.json and by names."""

import collections
import dataclasses
import json

import pytest

from bertjax.config import ModelConfig
from bertjax.interop.architectures import ARCHITECTURES, shapes
from bertjax.interop.families.bert import BERT
from bertjax.interop.families.modernbert import MODERNBERT
from bertjax.interop.families.registry import (
  FAMILIES,
  family_behind,
  family_in,
  family_of,
)
from bertjax.interop.families.roberta import ROBERTA
from bertjax.interop.huggingface_config import (
  config_from_huggingface,
  config_to_huggingface,
)
from configs import families
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL


def test_every_family_of_the_configs_has_its_names():
  assert {*FAMILIES} == {*families.FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_family_of_a_shape_is_found(name):
  assert family_of(CONFIGS[name]).model_type == name


@pytest.mark.parametrize("name", sorted(CONFIGS.keys() - FAMILIES.keys()))
def test_a_shape_of_no_family_is_one_line(name):
  with pytest.raises(
    ValueError, match=r"^model\.\w+=\S+ is not of .* --format=bundle$"
  ):
    family_of(CONFIGS[name])


def test_the_nearest_family_says_what_differs():
  config = dataclasses.replace(SMALL, activation="silu")
  with pytest.raises(
    ValueError, match=r"^model\.activation=silu is not of BERT"
  ):
    family_of(config)
  config = dataclasses.replace(CONFIGS["modernbert"], norm="rms")
  with pytest.raises(
    ValueError, match=r"^model\.norm=rms is not of ModernBERT"
  ):
    family_of(config)


def test_another_kind_of_model_is_refused():
  assert family_in({}) is BERT  # as the oldest files
  assert family_in({"model_type": "roberta"}) is ROBERTA
  with pytest.raises(
    ValueError, match=r"^model_type='t5'; only bert, roberta, .* can be read$"
  ):
    family_in({"model_type": "t5"})


def test_names_tell_another_family():
  names = ["lm_head.bias", "roberta.embeddings.word_embeddings.weight"]
  assert family_behind(names, BERT) is ROBERTA
  assert family_behind(names, ROBERTA) is None
  assert family_behind(["teacher.bias"], BERT) is None


@pytest.mark.parametrize("name", FAMILIES)
def test_a_table_names_every_parameter_once(name):
  family, config = FAMILIES[name], CONFIGS[name]
  for architecture in family.classes:
    table = family.entries(architecture)
    ours = [entry.ours for entry in table]
    assert len(set(ours)) == len(ours)
    wanted = shapes(architecture, config, 3)
    assert wanted.keys() <= {*ours}
    # Parts of one tensor are all there, and nothing is there twice.
    counts = collections.Counter(
      (entry.theirs, entry.part) for entry in table if entry.ours in wanted
    )
    assert {*counts.values()} == {1}
    pieces = collections.defaultdict(set)
    for theirs, part in counts:
      pieces[theirs].add(part)
    for parts in pieces.values():
      (count,) = {count for _, count in parts}
      assert {number for number, _ in parts} == {*range(count)}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_size_goes_to_config_json_and_back(name):
  record = families.FAMILIES[name]
  for size, fields in record.sizes.items():
    model = dataclasses.replace(
      ModelConfig(), **{**record.choices, **fields, "vocab_size": 120}
    )
    mapping = config_to_huggingface(
      model, "BertModel", max(model.position_offset - 1, 0)
    )
    found = config_from_huggingface(json.loads(json.dumps(mapping)))
    # transformers' ALBERT drops nothing of a feed-forward, and has no field of
    # it; it is read in training alone.
    if name == "albert":
      assert found.mlp_dropout_place == "none"
      found = dataclasses.replace(found, mlp_dropout_place="output")
    assert found == model, size


def test_berts_table_has_no_other_parameters():
  names = {name for kind in ARCHITECTURES for name in shapes(kind, SMALL, 3)}
  assert sorted(entry.ours for entry in BERT.table) == sorted(names)
  theirs = [entry.theirs for entry in BERT.table]
  assert len(set(theirs)) == len(theirs)


def test_only_modernberts_first_layer_lacks_a_norm():
  for family in FAMILIES.values():
    lacking = {entry.ours for entry in family.table if entry.lacking}
    assert bool(lacking) == (family is MODERNBERT)
