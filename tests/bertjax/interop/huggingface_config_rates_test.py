# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Dropout before heads is what it was, or the rate that is lost is named."""

import dataclasses

import pytest

from bertjax.interop.architectures import (
  ARCHITECTURES,
  PRETRAINING,
  QUESTION_ANSWERING,
)
from bertjax.interop.families.registry import FAMILIES
from bertjax.interop.huggingface_config import (
  config_from_huggingface,
  config_to_huggingface,
  lost_rates,
)
from tests.testing.choices import CONFIGS
from tests.testing.huggingface_models import outputs_of

HEADS = [name for name, kind in ARCHITECTURES.items() if kind.whole == name]
HEADS.remove(PRETRAINING)
# That of hidden states, which our heads have.
RATE = 0.25


def config_of(name):
  return dataclasses.replace(CONFIGS[name], hidden_dropout_rate=RATE)


def export(name, architecture):
  config = config_of(name)
  return config_to_huggingface(
    config, architecture, 0, outputs_of(architecture)
  )


@pytest.mark.parametrize("name", FAMILIES)
def test_heads_of_transformers_drop_at_the_rate_of_ours(name):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  found = {}
  for architecture in HEADS:
    mapping = export(name, architecture)
    config = transformers.AutoConfig.for_model(**mapping)
    with torch.device("meta"):
      model = getattr(transformers, mapping["architectures"][0])(config)
    inner = f"{model.base_model_prefix}."
    found[architecture] = {
      module.p
      for path, module in model.named_modules()
      if isinstance(module, torch.nn.Dropout) and not path.startswith(inner)
    }
  # BERT, RoBERTa and ALBERT have no dropout before answers, and neither do we.
  has_none = CONFIGS[name].sequence_head == "pooler"
  assert found == {
    architecture: set()
    if has_none and architecture == QUESTION_ANSWERING
    else {RATE}
    for architecture in HEADS
  }


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("architecture", [PRETRAINING, *HEADS])
def test_a_rate_is_lost_exactly_where_an_export_says_another_one(
  name, architecture
):
  mapping = export(name, architecture)
  config = config_from_huggingface(mapping)
  assert not lost_rates(mapping, config, architecture)
  for field, rate in FAMILIES[name].head_rates.items():
    given = {**mapping, field: 0.375}
    read = config_from_huggingface(given)
    assert read == config  # it changes no other field
    is_read = architecture in (PRETRAINING, *rate.architectures)
    expected = {field: 0.375} if is_read else {}
    assert lost_rates(given, read, architecture) == expected
    # A file may leave it out, or say that it has none of its own.
    for absent in ({field: None}, {}):
      less = {key: value for key, value in given.items() if key != field}
      usual = rate.usual if is_read and architecture != PRETRAINING else None
      expected = {} if usual is None else {field: usual}
      assert lost_rates({**less, **absent}, read, architecture) == expected
