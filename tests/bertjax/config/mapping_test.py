# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A config goes into a mapping and comes back, also through JSON."""

import json

import pytest

from bertjax.config import (
  FinetuneConfig,
  PretrainConfig,
  flatten_fields,
  from_mapping,
  to_mapping,
)


@pytest.mark.parametrize("config", [PretrainConfig(), FinetuneConfig()])
def test_a_config_comes_back_from_json(config):
  stored = json.loads(json.dumps(to_mapping(config)))
  assert from_mapping(type(config), stored) == config


def test_an_int_is_taken_for_a_float_and_what_is_absent_is_the_default():
  config = from_mapping(PretrainConfig, {"optimizer": {"weight_decay": 0}})
  assert type(config.optimizer.weight_decay) is float
  assert config.model == PretrainConfig().model


@pytest.mark.parametrize(
  ("kind", "mapping", "message"),
  [
    (PretrainConfig, {"optimiser": {}}, "optimiser is no field of Pretrain"),
    (
      PretrainConfig,
      {"model": 3},
      "model=3 is one value; give .*model.num_layers",
    ),
    (
      PretrainConfig,
      {"model": {"layers": 3}},
      "model.layers is no field of ModelConfig; it has activation, ",
    ),
    (
      FinetuneConfig,
      {"optimizer": {"learning_rate": 1.0}},
      "optimizer.learning_rate is no .*; give learning_rates",
    ),
    (
      FinetuneConfig,
      {"optimizer": {"warmup_steps": 1}},
      "optimizer.warmup_steps is no .*; give warmup_rate",
    ),
  ],
)
def test_a_field_that_is_not_there_is_refused(kind, mapping, message):
  with pytest.raises(ValueError, match=message):
    from_mapping(kind, mapping)


def test_fields_are_named_as_their_flags():
  nested = {"config": {"optimizer": {"name": "lamb"}, "steps": 3}, "x": None}
  assert flatten_fields(nested) == {
    "config.optimizer.name": "lamb",
    "config.steps": 3,
    "x": None,
  }
