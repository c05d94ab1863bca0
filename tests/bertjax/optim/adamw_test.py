# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's AdamW against an independent derivation in float64."""

import dataclasses

import numpy as np
import pytest

from tests.testing.adamw import CONFIG, by_hand, run


@pytest.mark.parametrize("name", ["adamw", "adamw_corrected"])
def test_adamw_equals_a_float64_derivation(name):
  config = dataclasses.replace(CONFIG, name=name)
  got, _ = run(config)
  expected = by_hand(config, got, corrected=name == "adamw_corrected")
  for path, leaf in expected.items():
    np.testing.assert_allclose(got[path], leaf, rtol=2e-5, atol=2e-6)


def test_the_two_differ():
  plain, _ = run(CONFIG)
  corrected, _ = run(dataclasses.replace(CONFIG, name="adamw_corrected"))
  name = "encoder/layers/mlp_up/kernel"
  assert np.abs(plain[name] - corrected[name]).max() > 1e-2
