# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import types
from typing import Any

import pytest

from bertjax.finetune import winner
from bertjax.finetune.scores.calibration import Calibration
from bertjax.finetune.trial import TrialResult, TrialRun
from bertjax.finetune.winner import Winner


def test_a_run_gives_what_was_measured_with_its_parameters():
  result = TrialResult(
    best_step=7,
    dev={"f1": 0.5, "threshold": 0.25},
    test={},
    train_loss=0.1,
    curve=(),
    calibration=Calibration(1.5, {}, {}),
  )
  found = winner.of_run(TrialRun(result, "params"), ("threshold",))
  assert found == Winner("params", 7, 1.5, {"threshold": 0.25})


@pytest.mark.parametrize(
  ("head", "temperature", "threshold"),
  [
    ({"temperature": 1.5, "settings": {"threshold": 0.25}}, 1.5, 0.25),
    # A record of an earlier version lacks what it did not have.
    ({}, None, 0.75),
  ],
)
def test_a_saved_model_gives_what_it_was_saved_with(
  tmp_path, monkeypatch, head, temperature, threshold
):
  info: Any = types.SimpleNamespace(
    details=types.SimpleNamespace(step=7, task=head)
  )
  monkeypatch.setattr(winner, "read_bundle_info", lambda _: info)
  monkeypatch.setattr(winner, "load_params", lambda _, like: like)
  found = winner.of_saved(
    tmp_path, "params", ("threshold",), {"threshold": 0.75}
  )
  assert found == Winner("params", 7, temperature, {"threshold": threshold})
