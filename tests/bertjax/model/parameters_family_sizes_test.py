# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The number of parameters of every published size of every family."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import ModelConfig
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import count_parameters
from configs.families import FAMILIES

FEATURES = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 8, "R": 1})
# The parameters of transformers' classes for pre-training with the published
# vocabularies, ...ForPreTraining of BERT and ALBERT and ...ForMaskedLM of the
# others (version 5.23).
PARAMETERS = {
  ("bert", "tiny"): 4_433_468,
  ("bert", "mini"): 11_267_900,
  ("bert", "small"): 29_058_876,
  ("bert", "medium"): 41_668_412,
  ("bert", "base"): 110_106_428,
  ("bert", "large"): 336_226_108,
  ("roberta", "base"): 124_697_433,
  ("roberta", "large"): 355_412_057,
  ("distilbert", "base"): 66_985_530,
  ("albert", "base"): 11_813_810,
  ("albert", "large"): 17_847_474,
  ("albert", "xlarge"): 59_021_490,
  ("albert", "xxlarge"): 223_158_450,
  ("modernbert", "17m"): 16_913_600,
  ("modernbert", "32m"): 32_081_344,
  ("modernbert", "68m"): 68_457_664,
  ("modernbert", "150m"): 149_655_232,
  ("modernbert", "400m"): 395_881_664,
  ("modernbert", "1b"): 1_031_314_112,
  ("modernbert", "base"): 149_655_232,
  ("modernbert", "large"): 395_881_664,
  ("modernbert", "mmbert_small"): 140_897_536,
  ("modernbert", "mmbert_base"): 307_786_240,
}
# Vocabularies of sizes that have another one than their family.
VOCABULARIES = dict.fromkeys(
  [("modernbert", "mmbert_small"), ("modernbert", "mmbert_base")], 256_000
)


def expected(name, model):
  """What transformers has, but for what is not a parameter here, or there."""
  count = PARAMETERS[name]
  if model.positions == "sinusoidal":
    count -= 512 * model.hidden_size  # a table that is not trained
  if not model.first_attention_norm:
    count += model.hidden_size  # in the stack of norms, and not read
  return count


def test_every_size_of_every_family_is_known():
  sizes = {(name, size) for name in FAMILIES for size in FAMILIES[name].sizes}
  assert sizes == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS, ids="-".join)
def test_a_size_has_the_parameters_that_were_published(name):
  family = FAMILIES[name[0]]
  model = ModelConfig(
    **{**family.choices, **family.sizes[name[1]]},
    vocab_size=VOCABULARIES.get(name, family.vocab_size),
  )
  module = BertForPreTraining(model)
  made = jax.eval_shape(
    lambda key: module.init(
      key, FEATURES, jnp.zeros((1, 2), jnp.int32), deterministic=True
    )["params"],
    jax.random.key(0),
  )
  assert count_parameters(nn.meta.unbox(made)) == expected(name, model)
