# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

from bertjax.trials.intervals import Scored
from launch.sweep.kept import (
  describe_missing,
  find_problem,
  parse_answers,
  subtract,
)


def of_classes(*predicted, label=(0, 1, 1, 0)):
  return parse_answers(
    [
      {"score": "matthews", "columns": {"label": label, "predicted": each}}
      for each in predicted
    ]
  )


def test_answers_of_several_runs_score_as_their_mean():
  kept = of_classes((0, 1, 1, 0), (1, 0, 0, 1), (0, 1, 1, 0))
  (value,) = kept.values(np.ones((1, 4)))
  assert value == pytest.approx(1 / 3)
  assert find_problem(kept, 1 / 3) == ""
  assert "score 0.3333, not 0.5000" in find_problem(kept, 0.5)
  other = of_classes((0, 1, 1, 0), label=(0, 1, 1, 1))
  (value,) = other.values(np.ones((1, 4)))
  assert "other test examples" in find_problem(other, value, kept)


def test_one_example_cannot_be_drawn_from():
  kept = parse_answers(["1"])
  assert find_problem(kept, 1.0, kept).startswith("answered one test example")


def test_means_are_subtracted_and_other_scores_are_drawn():
  right = [parse_answers(["1100", "1000"]), parse_answers(["0000"])]
  found: Any = subtract(right, right[::-1])
  np.testing.assert_allclose(found, [[1, 0.5, 0, 0], [-1, -0.5, 0, 0]])
  kept = [of_classes((0, 1, 1, 0)), of_classes((0, 1, 0, 0))]
  scored = subtract(kept, kept[::-1])
  assert isinstance(scored, Scored)
  # The first and the last example are alike in all four trials.
  assert (scored.seeds, sorted(scored.count_K)) == (2, [1, 1, 2])
  values_DS = scored.values(np.tile(scored.count_K, (3, 1)))
  assert values_DS.shape == (3, 2)
  np.testing.assert_allclose(values_DS.sum(axis=1), 0)


def test_what_is_missing_says_what_to_do_or_that_nothing_helps():
  wrong = {f"mlm-seed{n}": "kept no answers" for n in range(6)}
  told = describe_missing("probe_rte_accuracy", "rte", wrong, 8)
  assert "mlm-seed4 and 1 more kept no answers. To have one, remove" in told
  assert "result.json and probes/step_*/rte* in the folders" in told
  told = describe_missing("probe_ner_f1", "", wrong, 6)
  assert told == (
    "No interval over other test examples for probe ner f1: the score does not "
    "follow from what is kept of an example."
  )


def test_examples_on_which_all_answers_are_equal_are_drawn_together():
  """Scores by kind are those by example, and kinds of classes are few."""
  draw = np.random.default_rng(0)
  label = draw.integers(0, 2, 5_000)
  kept = [of_classes(draw.integers(0, 2, 5_000), label=label) for _ in range(4)]
  scored: Any = subtract(kept[:2], kept[2:])
  assert len(scored.count_K) <= 2**5
  assert scored.count_K.sum() == 5_000
  ones = np.ones((1, 5_000), np.int64)
  np.testing.assert_allclose(
    scored.values(scored.count_K[None]),
    [
      [
        a.values(ones)[0] - b.values(ones)[0]
        for a, b in zip(kept[:2], kept[2:], strict=True)
      ]
    ],
    atol=1e-12,
  )
