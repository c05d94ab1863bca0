# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What another host wrote is waited for, and not for ever."""

import pytest

from bertjax.parallel import multihost, shared_folder

HERE = [2, 4, 6]


class Host:
  """One that sees what process 0 does only when it has looked often."""

  def __init__(self, *sights):
    self._sights = list(sights)

  def listed(self):
    return self._sights[0]

  def reload(self):
    if len(self._sights) > 1:
      self._sights.pop(0)


@pytest.fixture
def second(monkeypatch):
  """This is another process than 0, which lists HERE."""
  monkeypatch.setattr(multihost, "decide", lambda topic, make: HERE)
  monkeypatch.setattr(shared_folder, "_LISTING_SECONDS", 0.3)


def test_a_process_alone_looks_at_nothing():
  shared_folder.check("/no/such/folder")
  host = Host([6, 2], [])
  shared_folder.list_alike("x", host.listed, host.reload)
  assert host.listed() == [6, 2]


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize(
  "before", [[2, 4], [], [2, 4, 6, 8]], ids=["one late", "none", "one gone"]
)
def test_a_listing_that_lags_is_waited_for(before):
  host = Host(before, before, [6, 4, 2])
  shared_folder.list_alike("x", host.listed, host.reload)
  assert sorted(host.listed()) == HERE


@pytest.mark.usefixtures("second")
def test_another_folder_is_refused():
  host = Host([2], [2, 4])
  with pytest.raises(ValueError, match="a folder that all hosts share"):
    shared_folder.list_alike("x", host.listed, host.reload)


def test_a_folder_without_a_mark_is_refused(monkeypatch, tmp_path):
  monkeypatch.setattr(multihost, "processes", lambda: 2)
  monkeypatch.setattr(multihost, "is_first", lambda: False)
  monkeypatch.setattr(multihost, "decide", lambda topic, make: ".mark")
  monkeypatch.setattr(multihost, "alike", lambda topic, make: make())
  monkeypatch.setattr(shared_folder, "_NEW_SECONDS", 0.1)
  with pytest.raises(ValueError, match="is not what process 0 sees"):
    shared_folder.check(tmp_path)
  (tmp_path / ".mark").write_text("")
  shared_folder.check(tmp_path)
