# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Differences and decisions leave padding out."""

import numpy as np
import pytest

from bertjax.interop.onnx import comparison
from tests.testing.examples import SMALL, ragged
from tests.testing.huggingface_models import make_params

REAL_BS = np.array([[True, True, False], [True, True, True]])


def outputs(shape, seed=0):
  return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize(
  ("name", "shape"),
  [
    ("last_hidden_state", (2, 3, 4)),
    ("logits", (2, 3, 4)),
    ("start_logits", (2, 3)),
  ],
)
def test_differences_in_padding_do_not_count(name, shape):
  ours = {name: outputs(shape)}
  theirs = {name: ours[name].copy()}
  theirs[name][0, 2] += 9
  assert comparison.largest_difference(ours, theirs, REAL_BS) == 0
  theirs[name][1, 2] += 0.5
  found = comparison.largest_difference(ours, theirs, REAL_BS)
  assert found == pytest.approx(0.5)


def test_the_largest_of_all_outputs_counts():
  ours = {"last_hidden_state": outputs((2, 3, 4)), "pooler_output": outputs(8)}
  theirs = ours | {"pooler_output": ours["pooler_output"] - 2}
  found = comparison.largest_difference(ours, theirs, REAL_BS)
  assert found == pytest.approx(2)


def test_decisions_are_those_of_the_task():
  classes = comparison.decide({"logits": outputs((2, 5))}, REAL_BS)
  np.testing.assert_array_equal(classes, outputs((2, 5)).argmax(-1))
  tags = comparison.decide({"logits": outputs((2, 3, 5))}, REAL_BS)
  assert tags is not None
  assert tags.shape == (5,)
  sets = comparison.decide({"logits": outputs((2, 5))}, REAL_BS, several=True)
  np.testing.assert_array_equal(sets, outputs((2, 5)) > 0)
  padding_is_likely = np.array([[0, 1, 9], [0, 1, 9]], np.float32)
  spans = comparison.decide(
    {"start_logits": padding_is_likely, "end_logits": -padding_is_likely},
    REAL_BS,
  )
  np.testing.assert_array_equal(spans, [[1, 0], [2, 0]])
  assert comparison.decide({"logits": outputs((2, 1))}, REAL_BS) is None
  hidden = {"last_hidden_state": outputs((2, 3, 4))}
  assert comparison.decide(hidden, REAL_BS) is None


def test_decisions_are_equal_as_a_whole():
  ours = np.array([[1, 2], [3, 4]])
  assert comparison.share_equal(ours, ours) == 1
  assert comparison.share_equal(ours, np.array([[1, 2], [3, 5]])) == 0.5
  assert comparison.share_equal(ours[:, 0], np.array([0, 3])) == 0.5


def test_cosines_are_of_real_tokens():
  ours = {"last_hidden_state": outputs((2, 3, 4))}
  theirs = {"last_hidden_state": 2 * ours["last_hidden_state"]}
  theirs["last_hidden_state"][0, 2] *= -1
  found = comparison.mean_cosine(ours, theirs, REAL_BS)
  assert found == pytest.approx(1)
  assert comparison.mean_cosine({"logits": outputs(3)}, {}, REAL_BS) is None


def test_an_encoder_needs_no_heads():
  params = make_params("BertModel")
  batch = ragged(2, 9)
  whole = comparison.compute(params, SMALL, "BertModel", "cls", batch)
  assert whole["pooler_output"].shape == (2, 32)
  del params["pooler"]
  hidden = comparison.compute(params, SMALL, "BertModel", "", batch)
  assert hidden.keys() == {"last_hidden_state"}
