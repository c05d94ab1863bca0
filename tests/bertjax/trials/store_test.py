# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from bertjax.trials.store import Ledger, Trial, write_json

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
  first = Ledger(tmp_path, IDENTITY).run(TRIAL, runs)
  again = Ledger(tmp_path, IDENTITY)
  assert again.run(TRIAL, runs) == json.loads(json.dumps(first))
  assert runs.count == 1
  again.run(Trial("b", {"seed": 1}), runs)
  assert runs.count == 2


def test_a_trial_that_failed_is_run_again(tmp_path):
  ledger = Ledger(tmp_path, IDENTITY)

  def fail(folder):
    (folder / "half").write_text("x")
    raise RuntimeError("stopped")

  with pytest.raises(RuntimeError):
    ledger.run(TRIAL, fail)
  assert ledger.result(TRIAL) is None
  runs = Runs()
  ledger.run(TRIAL, runs)
  assert runs.count == 1


def test_another_identity_is_refused_by_field_and_values(tmp_path):
  Ledger(tmp_path, IDENTITY)
  Ledger(tmp_path, IDENTITY)
  other = {"task": "t", "optimizer": {"name": "lamb", "rates": (1, 2)}}
  with pytest.raises(ValueError, match=r"optimizer.name='adamw', not 'lamb'"):
    Ledger(tmp_path, other)
  with pytest.raises(ValueError, match="new=None, not 1"):
    Ledger(tmp_path, {**IDENTITY, "new": 1})
  many = {str(number): number for number in range(9)}
  with pytest.raises(ValueError, match=r"2=None, not 2; and 9 more: give"):
    Ledger(tmp_path, many)


def test_another_trial_of_the_same_name_is_refused(tmp_path):
  ledger = Ledger(tmp_path, IDENTITY)
  ledger.run(TRIAL, Runs())
  with pytest.raises(ValueError, match=r"rate=0.1, not 0.2"):
    ledger.run(Trial("a", {"seed": 0, "rate": 0.2}), Runs())


def test_what_is_no_json_leaves_no_file(tmp_path):
  path = tmp_path / "a.json"
  with pytest.raises(ValueError, match="JSON"):
    write_json(path, {"loss": float("nan")})
  assert not path.exists()
  assert list(tmp_path.iterdir()) == []
