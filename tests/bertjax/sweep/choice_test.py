# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from bertjax.sweep.choice import choose_on_dev
from bertjax.trials.statistics import summarize


def arm(dev, test):
  return {"dev_f1": summarize(dev), "test_f1": summarize(test)}


def test_dev_chooses_and_test_is_reported_for_the_chosen():
  arms = {"a": arm([0.5, 0.7], [0.9, 0.9]), "b": arm([0.7, 0.7], [0.4, 0.6])}
  choice = choose_on_dev(arms, "f1")
  assert (choice.arm, choice.candidates) == ("b", 2)
  assert choice.test.mean == 0.5
  assert "Dev chooses b of 2 arms" in str(choice)
  assert choice.from_json(choice.to_json()) == choice
