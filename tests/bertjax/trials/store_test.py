# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from bertjax.files import write_json
from bertjax.trials.store import Trial, TrialStore

IDENTITY = {"task": "t", "optimizer": {"name": "adamw", "rates": (1, 2)}}
TRIAL = Trial("a", {"seed": 0, "rate": 0.1})


class Runs:
  """Counts how often a trial was run."""

  def __init__(self):
    self.count = 0

  def __call__(self, folder):
    assert folder.is_dir()
    self.count += 1
    return {"accuracy": 0.5, "values": (1, 2)}


def test_a_finished_trial_is_not_run_again(tmp_path):
  runs = Runs()
  first = TrialStore(tmp_path, IDENTITY).run(TRIAL, runs)
  again = TrialStore(tmp_path, IDENTITY)
  assert again.run(TRIAL, runs) == json.loads(json.dumps(first))
  assert runs.count == 1
  again.run(Trial("b", {"seed": 1}), runs)
  assert runs.count == 2


def test_a_trial_that_failed_is_run_again(tmp_path):
  store = TrialStore(tmp_path, IDENTITY)

  def fail(folder):
    (folder / "half").write_text("x")
    raise RuntimeError("stopped")

  with pytest.raises(RuntimeError):
    store.run(TRIAL, fail)
  assert store.result(TRIAL) is None
  runs = Runs()
  store.run(TRIAL, runs)
  assert runs.count == 1


def test_a_result_is_not_written_into_a_folder_that_was_lost(tmp_path):
  owned = [True, False]

  def guard():
    if not owned.pop(0):
      raise ValueError("another run took it over")

  store = TrialStore(tmp_path, IDENTITY, guard=guard)
  store.run(TRIAL, Runs())
  other = Trial("b", {"seed": 1})
  with pytest.raises(ValueError, match="took it over"):
    store.run(other, Runs())
  assert store.result(TRIAL) is not None
  assert store.result(other) is None


def test_results_without_a_version_are_version_1(tmp_path):
  store = TrialStore(tmp_path, IDENTITY)
  result = store.run(TRIAL, Runs())
  path = store.path(TRIAL) / "result.json"
  saved = json.loads(path.read_text())
  assert saved.pop("version") == 1
  write_json(path, saved)
  assert store.result(TRIAL) == json.loads(json.dumps(result))
  write_json(path, {**saved, "version": 2})
  with pytest.raises(ValueError, match=r"has version 2, and .* reads 1; "):
    store.result(TRIAL)


def test_another_identity_is_refused_by_field_and_values(tmp_path):
  TrialStore(tmp_path, IDENTITY)
  TrialStore(tmp_path, IDENTITY)
  other = {"task": "t", "optimizer": {"name": "lamb", "rates": (1, 2)}}
  with pytest.raises(ValueError, match=r"optimizer.name='adamw', not 'lamb'"):
    TrialStore(tmp_path, other)
  with pytest.raises(ValueError, match="new=None, not 1"):
    TrialStore(tmp_path, {**IDENTITY, "new": 1})
  # "adamw" is what an identity without the field means: no difference.
  many = {str(number): number for number in range(9)}
  with pytest.raises(ValueError, match=r"2=None, not 2; and 8 more: give"):
    TrialStore(tmp_path, many)


def test_a_field_that_is_new_counts_as_what_trials_did_before(tmp_path):
  old = {"encoder": {"num_layers": 2}, "optimizer": {"name": "adamw"}}
  TrialStore(tmp_path, old)
  encoder = {"num_layers": 2, "position_init": "normal"}
  TrialStore(tmp_path, {**old, "encoder": encoder})
  other = {"num_layers": 2, "position_init": "sinusoid"}
  with pytest.raises(ValueError, match="position_init='normal', not 'sinus"):
    TrialStore(tmp_path, {**old, "encoder": other})


def test_an_objective_of_a_reference_may_get_fields(tmp_path):
  TrialStore(tmp_path, {"reference": {"objective": {"mask_rate": 0.15}}})
  newer = {"mask_rate": 0.15, "mask_unit": "token"}
  TrialStore(tmp_path, {"reference": {"objective": newer}})
  other = {**newer, "mask_unit": "word"}
  with pytest.raises(ValueError, match="mask_unit='token', not 'word'"):
    TrialStore(tmp_path, {"reference": {"objective": other}})


def test_another_trial_of_the_same_name_is_refused(tmp_path):
  store = TrialStore(tmp_path, IDENTITY)
  store.run(TRIAL, Runs())
  with pytest.raises(ValueError, match=r"rate=0.1, not 0.2"):
    store.run(Trial("a", {"seed": 0, "rate": 0.2}), Runs())


def test_what_an_earlier_version_did_not_store_is_logged(tmp_path, caplog):
  TrialStore(tmp_path, IDENTITY)
  more = {**IDENTITY, "evaluation": {"rows": 8}}
  with pytest.raises(ValueError, match=r"evaluation\.rows=None, not 8"):
    TrialStore(tmp_path, more)
  assert not caplog.text
  TrialStore(tmp_path, more, newer=["evaluation"])
  assert "does not know what its trials had instead of evaluation.rows=8" in (
    caplog.text
  )
  TrialStore(tmp_path / "new", more, newer=["evaluation"])
  with pytest.raises(ValueError, match=r"evaluation\.rows=8, not 9"):
    TrialStore(
      tmp_path / "new", {**more, "evaluation": {"rows": 9}}, ["evaluation"]
    )


def test_a_field_that_an_arm_left_alone_has_the_value_of_its_base(tmp_path):
  """And not fine-tuning's default: a trial may be one of pre-training."""
  store = TrialStore(tmp_path, IDENTITY)
  base = {"steps": 600}
  store.run(Trial("a", {"seed": 0}, base), Runs())
  assert store.result(Trial("a", {"seed": 0, "steps": 600}, base))
  with pytest.raises(ValueError, match="steps=600, not 634"):
    store.result(Trial("a", {"seed": 0, "steps": 634}, base))


def test_a_group_that_is_known_lacks_no_field(tmp_path):
  TrialStore(tmp_path, {"base": {"rate": 0.1}})
  with pytest.raises(ValueError, match=r"base\.more=None, not 1"):
    TrialStore(tmp_path, {"base": {"rate": 0.1, "more": 1}}, newer=["base"])


def test_what_was_before_a_field_is_the_callers_to_say(tmp_path):
  TrialStore(tmp_path, {})
  TrialStore(tmp_path, {"steps": 7}, before={"steps": 7}.get)
  with pytest.raises(ValueError, match="steps=7, not 8"):
    TrialStore(tmp_path, {"steps": 8}, before={"steps": 7}.get)
