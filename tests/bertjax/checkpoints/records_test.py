# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The newest record is that of the newest committed step that is whole."""

import json
import os

import pytest

from bertjax.checkpoints import digest, records


@pytest.fixture
def folder(tmp_path):
  for step in (2, 4, 10):
    path = tmp_path / str(step) / records.RECORD
    path.mkdir(parents=True)
    sealed = digest.seal({"step": step, "leaves": {}, "run": {"memo": step}})
    (path / "metadata").write_text(json.dumps(sealed))
    (tmp_path / str(step) / "commit_success.txt").touch()
  (tmp_path / "unreadable" / "12").mkdir(parents=True)
  return tmp_path


def test_the_newest_whole_record_is_read(folder, tmp_path, caplog):
  assert records.read_newest_record(folder) == {"memo": 10}
  (folder / "10" / "commit_success.txt").unlink()
  assert records.read_newest_record(folder) == {"memo": 4}
  (folder / "4" / records.RECORD / "metadata").write_text("{")
  assert records.read_newest_record(folder) == {"memo": 2}
  assert "the record of checkpoint 4 is damaged" in caplog.text
  (folder / "2").rename(folder / "3")
  assert records.read_newest_record(folder) is None
  assert "its record is that of step 2" in caplog.text
  assert records.read_newest_record(tmp_path / "nothing") is None


def test_what_the_system_lacks_is_no_older_record(folder, monkeypatch):
  def fail(*_):
    raise PermissionError("mount")

  monkeypatch.setattr("pathlib.Path.read_text", fail)
  with pytest.raises(PermissionError):
    records.read_newest_record(folder)


def test_the_newest_write_is_that_of_a_checkpoint_in_the_making(folder):
  assert records.newest_write(folder) == 0
  assert records.newest_write(folder / "nothing") == 0
  (folder / "10" / "commit_success.txt").unlink()
  for path in ((folder / "10"), *(folder / "10").rglob("*")):
    os.utime(path, (1e9, 1e9))
  assert records.newest_write(folder) == 1e9
  os.utime(folder / "10" / records.RECORD / "metadata", (2e9, 2e9))
  assert records.newest_write(folder) == 2e9
