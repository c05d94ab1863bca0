# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rates that draws cannot give are refused before anything is compiled."""

import pytest

from bertjax.config import FinetuneConfig, PretrainConfig
from bertjax.config.checks import check_dropout
from tests.testing.configs import replaced


@pytest.mark.parametrize("config", [PretrainConfig(), FinetuneConfig()])
def test_rates_that_draws_cannot_give_are_refused(config):
  prefix = "model." if hasattr(config, "model") else ""
  for name in ("hidden_dropout_rate", "attention_dropout_rate"):
    path = prefix + name
    for rate, draws, what, fix in (
      (1e-3, "uint8", "nothing", "0.00390625, or compute.dropout_draws=uint16"),
      (0.999, "uint8", "everything", "0.996094, or compute"),
      (1e-6, "uint16", "nothing", "give 0, 1.52588e-05$"),
    ):
      changes = {path: rate, "compute.dropout_draws": draws}
      with pytest.raises(ValueError, match=fix) as caught:
        check_dropout(replaced(config, changes))
      assert f"{path}={rate}" in str(caught.value)
      assert f"drop {what};" in str(caught.value)
      assert "\n" not in str(caught.value)


@pytest.mark.parametrize("draws", ["uint16", "uint8"])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_usual_rates_are_given(draws, rate):
  changes = {
    "model.hidden_dropout_rate": rate,
    "compute.dropout_draws": draws,
  }
  check_dropout(replaced(PretrainConfig(), changes))
