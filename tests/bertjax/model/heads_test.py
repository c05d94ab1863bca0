# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pooler and heads against derivations in float64."""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import ComputeConfig
from bertjax.finetune import question_answering, tagging
from bertjax.finetune.classification import TASK as CLASSIFICATION
from bertjax.model.heads import Classifier, MaskedLMHead, Pooler
from bertjax.model.layers import Dense, Dropout, Norm
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL, init_params

PARAMS = init_params()
B, S, D = 3, 7, SMALL.hidden_size
HIDDEN_BSD = (
  np.random.default_rng(0).standard_normal((B, S, D)).astype(np.float32)
)


def dense(params, inputs):
  kernel = params["kernel"].astype(np.float64)
  return inputs.astype(np.float64) @ kernel + params["bias"]


def test_the_pooler_reads_the_start_of_every_pack():
  starts_BR = np.array([[0, 4], [0, 2], [0, 6]], np.int32)
  output: Any = Pooler(SMALL, ComputeConfig()).apply(
    {"params": PARAMS["pooler"]}, HIDDEN_BSD, starts_BR
  )
  first_BRD = HIDDEN_BSD[np.arange(B)[:, None], starts_BR]
  expected = np.tanh(dense(PARAMS["pooler"]["dense"], first_BRD))
  np.testing.assert_allclose(output, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["relu", "norm"])
def test_the_heads_of_other_families_equal_a_float64_derivation(name):
  config: Any = dataclasses.replace(
    SMALL, sequence_head=name, activation="relu", norm="layer_without_bias"
  )
  scale_D = np.linspace(0.5, 2.0, D, dtype=np.float32)
  params = {**PARAMS["pooler"], "layer_norm": {"scale": scale_D}}
  output: Any = Pooler(config, ComputeConfig()).apply(
    {"params": params}, HIDDEN_BSD, method="transform"
  )
  expected = np.maximum(dense(params["dense"], HIDDEN_BSD), 0)
  if name == "norm":
    expected -= expected.mean(axis=-1, keepdims=True)
    expected *= scale_D / np.sqrt((expected**2).mean(axis=-1, keepdims=True))
  np.testing.assert_allclose(output, expected, atol=1e-5, rtol=0)


DROP, DENSE, NORM = Dropout.__name__, Dense.__name__, Norm.__name__
CLASSES = nn.Dense.__name__
# What stands on an encoder, in order, as its authors have it.
HEADS = [
  ("bert", CLASSIFICATION, "cls", (DENSE, DROP, CLASSES)),
  ("bert", CLASSIFICATION, "mean", (DROP, CLASSES)),
  ("bert", tagging.TASK, "", (DROP, CLASSES)),
  ("bert", question_answering.TASK, "", (CLASSES,)),
  ("albert", CLASSIFICATION, "cls", (DENSE, DROP, CLASSES)),
  ("albert", question_answering.TASK, "", (CLASSES,)),
  ("roberta", CLASSIFICATION, "cls", (DROP, DENSE, DROP, CLASSES)),
  ("roberta", CLASSIFICATION, "mean", (DROP, CLASSES)),
  ("roberta", question_answering.TASK, "", (CLASSES,)),
  ("distilbert", CLASSIFICATION, "cls", (DENSE, DROP, CLASSES)),
  ("distilbert", question_answering.TASK, "", (DROP, CLASSES)),
  *(
    ("modernbert", task, pooling, (DENSE, NORM, DROP, CLASSES))
    for task, pooling in (
      (CLASSIFICATION, "cls"),
      (CLASSIFICATION, "mean"),
      (tagging.TASK, ""),
      (question_answering.TASK, ""),
    )
  ),
]


@pytest.mark.parametrize(("name", "task", "pooling", "expected"), HEADS)
def test_a_head_has_its_products_and_dropout_in_its_familys_order(
  name, task, pooling, expected
):
  config = dataclasses.replace(CONFIGS[name], hidden_dropout_rate=0.1)
  model = task.make_model(
    config, ComputeConfig(), num_labels=3, pooling=pooling
  )
  found = []

  def note(run, arguments, options, context):
    module = context.module
    inside = module.path[:1] == ("encoder",)
    known = isinstance(module, (Dense, Dropout, Norm, nn.Dense))
    if known and context.method_name == "__call__" and not inside:
      found.append(type(module).__name__)
    return run(*arguments, **options)

  def initialize(key):
    keys = {"params": key, "dropout": key}
    batch = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 8, "R": 2})
    return model.init(keys, batch, deterministic=False)

  with nn.intercept_methods(note):
    jax.eval_shape(initialize, jax.random.key(0))
  # The layer of classes is flax's own, which has the name of ours.
  assert found == list(expected)


def test_the_masked_lm_head_equals_a_float64_derivation():
  table_VD = PARAMS["encoder"]["embeddings"]["word"]["embedding"]
  params = PARAMS["mlm_head"]
  output: Any = MaskedLMHead(SMALL, ComputeConfig()).apply(
    {"params": params}, HIDDEN_BSD, table_VD
  )
  hidden = dense(params["dense"], HIDDEN_BSD)
  hidden *= np.vectorize(lambda x: 0.5 * (1 + math.erf(x / 2**0.5)))(hidden)
  hidden -= hidden.mean(axis=-1, keepdims=True)
  hidden /= np.sqrt((hidden**2).mean(axis=-1, keepdims=True) + 1e-12)
  norm = params["layer_norm"]
  hidden = hidden * norm["scale"] + norm["bias"]
  expected = hidden @ table_VD.T.astype(np.float64) + params["bias"]
  np.testing.assert_allclose(output, expected, atol=1e-4, rtol=1e-5)


def test_a_classifier_multiplies_in_float32_whatever_it_reads():
  params = PARAMS["pair_head"]
  narrow = jnp.asarray(HIDDEN_BSD, jnp.bfloat16)
  output: Any = Classifier(SMALL, 2).apply({"params": params}, narrow)
  expected = dense(params["dense"], np.asarray(narrow.astype(jnp.float32)))
  assert output.dtype == np.float32
  np.testing.assert_allclose(output, expected, atol=1e-5, rtol=0)
