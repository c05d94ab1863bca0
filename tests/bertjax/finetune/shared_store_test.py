# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.finetune import shared_store
from bertjax.finetune.shared_store import SharedTrialStore
from bertjax.trials.store import Trial, TrialStore

IDENTITY = {"encoder": {"hidden_size": 32}}
TRIAL = Trial("a", {"seed": 0})


class Process:
  """Process 0, or another one, which hears what process 0 has said."""

  def __init__(self, said=None):
    self._said = None if said is None else iter(said)
    self.said = []

  def broadcast_from_first(self, topic, make):
    if self._said is None:
      self.said.append((topic, make()))
      return self.said[-1][1]
    heard, value = next(self._said)
    assert heard == topic
    return value


def run_on(process, folder, monkeypatch):
  """What one process sees of a store in which one trial is run."""
  monkeypatch.setattr(shared_store, "multihost", process)
  store = SharedTrialStore(folder, IDENTITY)
  before = store.result(TRIAL)
  made = store.run(TRIAL, lambda _: {"loss": 0.5})
  return before, made, store.result(TRIAL)


def test_one_process_writes_and_all_know(tmp_path, monkeypatch):
  first = Process()
  expected = (None, {"loss": 0.5}, {"loss": 0.5})
  assert run_on(first, tmp_path / "first", monkeypatch) == expected
  assert TrialStore(tmp_path / "first", IDENTITY).result(TRIAL) == expected[2]
  # The other process asks for the same, and neither reads nor writes a file
  # but for the folder that its devices save in.
  other = Process(first.said)
  assert run_on(other, tmp_path / "other", monkeypatch) == expected
  written = [path for path in (tmp_path / "other").rglob("*") if path.is_file()]
  assert not written


def test_another_identity_is_refused(tmp_path):
  SharedTrialStore(tmp_path, IDENTITY)
  with pytest.raises(ValueError, match="hidden_size=32, not 64"):
    SharedTrialStore(tmp_path, {"encoder": {"hidden_size": 64}})
