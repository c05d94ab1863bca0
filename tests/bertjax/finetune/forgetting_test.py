# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What runs have forgotten, over their seeds."""

import pytest

from bertjax.finetune.forgetting import (
  Forgetting,
  ForgettingScores,
  describe,
  score_forgetting,
)

RUNS = [
  Forgetting(2.0, 3.0, (1.0, 0.8)),
  Forgetting(2.0, 4.0, (1.0, 0.6)),
]


def test_scores_are_over_the_seeds_and_read_back():
  found = score_forgetting(RUNS)
  assert found.mlm_loss_before == 2
  assert found.mlm_loss.mean == 3.5
  assert [each.mean for each in found.cosines] == pytest.approx([1, 0.7])
  assert ForgettingScores.from_json(found.to_json()) == found


def test_the_page_has_a_row_for_each_layer():
  sentence, table = describe(score_forgetting(RUNS))
  assert "2.0000 nats before fine-tuning, 3.5000 ± 0.7071 after it" in sentence
  assert "| 1 " in table
  assert "| 2 " in table


def test_runs_that_did_not_measure_have_no_scores():
  assert score_forgetting([RUNS[0], None]) is None
  assert score_forgetting([]) is None
  assert list(describe(None)) == []
