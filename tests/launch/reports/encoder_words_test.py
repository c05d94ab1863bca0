# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The choices of an encoder in words, of every field and family."""

import dataclasses

import pytest

from bertjax.config import SIZES, ModelConfig
from configs.families import FAMILIES
from launch.reports import encoder_words
from tests.testing.choices import CONFIGS

# Sizes, which a card tells in one line, and what training alone reads.
_SIZES = ("num_layers", "hidden_size", "num_heads", "intermediate_size")
TOLD_ELSEWHERE = {
  *_SIZES,
  *("vocab_size", "max_positions"),
  *("hidden_dropout_rate", "attention_dropout_rate"),
  *("attention_output_dropout", "mlp_dropout_place"),
  *("position_init", "initializer_std", "init"),
}


def encoder(**choices):
  return dataclasses.replace(SIZES["base"], **choices)


def test_every_field_of_an_encoder_has_words():
  fields = {field.name for field in dataclasses.fields(ModelConfig)}
  assert {*encoder_words.WORDS} | TOLD_ELSEWHERE == fields
  assert not {*encoder_words.WORDS} & TOLD_ELSEWHERE


@pytest.mark.parametrize("size", SIZES)
def test_a_bert_of_any_size_differs_in_nothing(size):
  assert not list(encoder_words.differences(SIZES[size]))


def test_modernbert_in_words():
  model = encoder(**FAMILIES["modernbert"].choices)
  words = "; ".join(encoder_words.differences(model))
  for part in (
    "rotary positions of base 160,000, and 10,000 in layers with a window; ",
    "within a window of 128 tokens, half on either side, but in one of 3 ",
    "gated feed-forward layers; norms before each branch instead of behind it",
    "layer norms without biases; ",
    "no norm before the attention of the first layer; no biases but those of ",
    "no types of tokens; no pooler",
  ):
    assert part in words
  assert not words.endswith("; ")
  # Equal bases are one, which 0 says as well.
  for local in (0.0, model.rotary_base):
    alike = dataclasses.replace(model, rotary_local_base=local)
    told = [*encoder_words.differences(alike)]
    assert "rotary positions of base 160,000" in told


def test_albert_in_words():
  model = encoder(**FAMILIES["albert"].choices)
  assert list(encoder_words.differences(model)) == [
    "activation gelu_tanh",
    "embeddings of width 128, which a projection widens to 768",
    "all layers share one set of weights",
  ]
  pairs = dataclasses.replace(model, layer_groups=6)
  assert "each 2 neighboring layers share one set of weights" in list(
    encoder_words.differences(pairs)
  )


@pytest.mark.parametrize("name", CONFIGS)
def test_words_tell_encoders_apart(name):
  told = tuple(encoder_words.differences(CONFIGS[name]))
  others = [
    tuple(encoder_words.differences(CONFIGS[other]))
    for other in CONFIGS
    if other != name
  ]
  assert told not in others
