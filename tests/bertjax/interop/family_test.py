# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a family can express, and what its classes are called."""

import dataclasses

import pytest

from bertjax.interop.architectures import ARCHITECTURES, NEXT_SENTENCE
from bertjax.interop.families.albert import ALBERT
from bertjax.interop.families.bert import BERT
from bertjax.interop.families.registry import FAMILIES
from bertjax.interop.families.roberta import ROBERTA
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_other_encoders_have_no_place_in_a_layout(name, family):
  """Or the fields that differ would be dropped from its files."""
  if name == family.model_type:
    family.check(CONFIGS[name])
    return
  with pytest.raises(
    ValueError,
    match=rf"^model\.\w+=\S+ is not of {family.title}, .* --format=bundle$",
  ):
    family.check(CONFIGS[name])


@pytest.mark.parametrize(
  ("changes", "name"),
  [
    ({"activation": "silu"}, "activation=silu"),
    ({"type_vocab_size": 0}, "type_vocab_size=0"),
    ({"pooler": False}, "pooler=False"),
  ],
)
def test_the_choice_that_bert_does_not_have_is_named(changes, name):
  BERT.check(SMALL)
  with pytest.raises(ValueError, match=rf"^model\.{name} is not of BERT"):
    BERT.check(dataclasses.replace(SMALL, **changes))


def test_berts_classes_are_the_architectures():
  assert {name: name for name in ARCHITECTURES} == BERT.classes


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_class_is_one_of_transformers(family):
  transformers = pytest.importorskip("transformers")
  for name in family.classes.values():
    assert getattr(transformers, name).config_class.model_type == (
      family.model_type
    )


def test_pre_training_without_a_pooler_is_the_masked_language_model():
  config = CONFIGS["albert"]
  assert ALBERT.class_of("BertForPreTraining", config) == "AlbertForPreTraining"
  bare = dataclasses.replace(config, pooler=False)
  assert ALBERT.class_of("BertForPreTraining", bare) == "AlbertForMaskedLM"
  with pytest.raises(
    ValueError, match=r"no counterpart among .* RoBERTa; give"
  ):
    ROBERTA.class_of(NEXT_SENTENCE, CONFIGS["roberta"])
