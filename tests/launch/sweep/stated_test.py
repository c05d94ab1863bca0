# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.config import SweepConfig
from bertjax.trials.store import Trial, TrialStore
from launch.sweep.stated import STATED, describe_margins, note_margins

TRIALS = [Trial(f"a-seed{seed}", {"arm": "a", "seed": seed}) for seed in (0, 1)]


@pytest.fixture
def store(tmp_path):
  return TrialStore(tmp_path, {"steps": 1})


def begin(store, margins):
  """Begin a call of a study; return what its report says of its margins."""
  config = SweepConfig(margins=margins)
  note_margins(config, store, TRIALS)
  return describe_margins(config, store)


def test_a_margin_that_is_given_after_a_result_is_told_of(store):
  assert begin(store, "loss=0.5") == []
  assert begin(store, "loss=0.1") == []  # nothing is known yet
  store.run(TRIALS[0], lambda folder: {"loss": 2.0})
  assert begin(store, "loss=0.1") == []
  assert begin(store, "") == []
  (wider,) = begin(store, "loss=0.9")
  assert wider.startswith(
    "The margin of loss, 0.9, was not stated before the first result, when it "
    "was 0.1:"
  )
  (more,) = begin(store, "loss=0.1;accuracy=0.3")
  assert more.startswith("The margin of accuracy, 0.3, was not stated before")


def test_studies_of_earlier_versions_did_not_write_margins_down(store):
  store.run(TRIALS[1], lambda folder: {"loss": 2.0})
  (unknown,) = begin(store, "loss=0.5")
  assert "not written down whether the margin of loss, 0.5, was" in unknown
  assert not (store.folder / STATED).exists()
