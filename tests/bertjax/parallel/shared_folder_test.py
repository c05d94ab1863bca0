# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A process waits for the files of another host, but not forever."""

import pytest

from bertjax.parallel import multihost, shared_folder

HERE = [2, 4, 6]


class Host:
  """A host that sees what process 0 wrote after some reloads."""

  def __init__(self, *sights):
    self._sights = list(sights)

  def list_steps(self):
    return self._sights[0]

  def reload(self):
    if len(self._sights) > 1:
      self._sights.pop(0)


@pytest.fixture
def second(monkeypatch):
  """This is another process than 0, which lists HERE."""
  monkeypatch.setattr(
    multihost, "broadcast_from_first", lambda topic, make: HERE
  )
  monkeypatch.setattr(shared_folder, "_LISTING_SECONDS", 0.3)


def test_a_single_process_checks_nothing():
  shared_folder.check_shared("/no/such/folder")
  host = Host([6, 2], [])
  shared_folder.wait_for_same_listing("x", host.list_steps, host.reload)
  assert host.list_steps() == [6, 2]


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize(
  "before", [[2, 4], [], [2, 4, 6, 8]], ids=["one late", "none", "one gone"]
)
def test_a_listing_that_lags_is_waited_for(before):
  host = Host(before, before, [6, 4, 2])
  shared_folder.wait_for_same_listing("x", host.list_steps, host.reload)
  assert sorted(host.list_steps()) == HERE


@pytest.mark.usefixtures("second")
def test_another_folder_is_refused():
  host = Host([2], [2, 4])
  with pytest.raises(ValueError, match="a folder that all hosts share"):
    shared_folder.wait_for_same_listing("x", host.list_steps, host.reload)


def test_a_folder_without_a_mark_is_refused(monkeypatch, tmp_path):
  monkeypatch.setattr(multihost, "process_count", lambda: 2)
  monkeypatch.setattr(multihost, "is_first", lambda: False)
  monkeypatch.setattr(
    multihost, "broadcast_from_first", lambda topic, make: ".mark"
  )
  monkeypatch.setattr(multihost, "run_on_all", lambda topic, make: make())
  monkeypatch.setattr(shared_folder, "_NEW_FILE_SECONDS", 0.1)
  with pytest.raises(
    ValueError, match="has other files here than on process 0"
  ):
    shared_folder.check_shared(tmp_path)
  (tmp_path / ".mark").write_text("")
  shared_folder.check_shared(tmp_path)
