# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pooler and heads against derivations in float64."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from bertjax.config import ComputeConfig
from bertjax.model.heads import Classifier, MaskedLMHead, Pooler
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
