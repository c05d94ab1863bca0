# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from typing import Any

import pytest

from bertjax.config import ComputeConfig, FinetuneConfig
from bertjax.finetune import grouping as module
from bertjax.finetune.experiment import make_trial
from bertjax.finetune.grouping import Grouping


def grouping(config):
  inputs: Any = None
  return Grouping(config, lambda: inputs, lambda *_: None)


@pytest.mark.parametrize(
  ("count", "fitting", "sizes"),
  [
    (7, 4, [4, 3]),
    (4, 3, [2, 2]),
    (5, 4, [3, 2]),
    (5, 5, [5]),
    (3, 1, [1, 1, 1]),
  ],
)
def test_groups_of_runs_have_nearly_one_size(count, fitting, sizes):
  """Each size is compiled anew."""
  config = dataclasses.replace(FinetuneConfig(), runs_at_once=fitting)
  trials = [make_trial(1e-3, seed) for seed in range(count)]
  groups = grouping(config).groups(trials)
  assert [len(group) for group in groups] == sizes
  assert [trial for group in groups for trial in group] == trials


@pytest.mark.parametrize(("rate", "sizes"), [(0.1, [1, 1, 1]), (0.0, [3])])
def test_dropout_of_rbg_never_depends_on_the_runs_beside_it(
  monkeypatch, rate, sizes
):
  monkeypatch.setattr(module, "count_that_fits", lambda _, seeds: len(seeds))
  config = dataclasses.replace(
    FinetuneConfig(),
    runs_at_once=0,
    hidden_dropout_rate=rate,
    attention_dropout_rate=0.0,
    compute=ComputeConfig(dropout_rng="rbg"),
  )
  trials = [make_trial(1e-3, seed) for seed in range(3)]
  groups = grouping(config).groups(trials)
  assert [len(group) for group in groups] == sizes
