# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import datetime
import hashlib
import json
import os
import pathlib

import numpy as np
import pytest

from bertjax import files
from bertjax.files import describe_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
  tmp_path, monkeypatch
):
  path = tmp_path / "numbers.json"
  files.write_json(path, {"b": 1, "a": "ß"})
  assert path.read_bytes() == '{\n  "b": 1,\n  "a": "ß"\n}\n'.encode()

  def full(descriptor):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(os, "fsync", full)
  # The file that was to be written is named, and not the one beside it.
  with pytest.raises(OSError, match=rf"No space .*: '{path}'"):
    files.write_text(path, "half")
  assert [entry.name for entry in tmp_path.iterdir()] == ["numbers.json"]
  assert b"half" not in path.read_bytes()


def test_an_error_of_the_system_names_a_file():
  """Python leaves the name out where a disk is full."""
  with (
    pytest.raises(OSError, match=r"^\[Errno 28\] No space .*: 'w/a'$"),
    files.naming("w/a"),
  ):
    pathlib.Path("/dev/full").write_bytes(b"x")
  for error in (OSError("late"), FileNotFoundError(2, "No such file", "b")):
    with pytest.raises(OSError) as raised, files.naming("w/a"):  # noqa: PT011
      raise error
    assert raised.value is error


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
  target = tmp_path / "folder"
  with files.replace_folder(target) as folder:
    (folder / "old").write_text("old")

  def stop_halfway():
    with files.replace_folder(target) as folder:
      (folder / "half").write_text("half")
      raise ValueError("stop")

  with pytest.raises(ValueError, match="stop"):
    stop_halfway()
  assert [path.name for path in target.iterdir()] == ["old"]
  with files.replace_folder(target) as folder:
    (folder / "new").write_text("new")
  assert [path.name for path in target.iterdir()] == ["new"]
  assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("exists", [True, False])
def test_what_takes_the_place_of_a_link_lies_where_it_points(exists, tmp_path):
  (tmp_path / "disk").mkdir()
  for name in ("folder", "file"):
    (tmp_path / name).symlink_to(tmp_path / "disk" / name)
  if exists:
    (tmp_path / "folder").resolve().mkdir()
    (tmp_path / "file").write_text("old")
  with files.replace_folder(tmp_path / "folder") as folder:
    (folder / "new").write_text("new")
  files.write_text(tmp_path / "file", "new")
  assert (tmp_path / "folder").is_symlink()
  assert (tmp_path / "file").is_symlink()
  assert (tmp_path / "disk" / "folder" / "new").read_text() == "new"
  assert (tmp_path / "disk" / "file").read_text() == "new"
  assert len([*(tmp_path / "disk").iterdir()]) == 2


def test_a_folder_survives_a_death_between_the_two_renames(
  tmp_path, monkeypatch
):
  target = tmp_path / "folder"
  with files.replace_folder(target) as folder:
    (folder / "old").write_text("old")

  def die(self, name):
    if self.name == ".folder.partial":
      raise SystemExit(137)
    return rename(self, name)

  rename = pathlib.Path.rename
  with monkeypatch.context() as patch:
    patch.setattr(pathlib.Path, "rename", die)
    with pytest.raises(SystemExit), files.replace_folder(target) as folder:
      (folder / "new").write_text("new")
  assert not target.exists()

  def stop_halfway():
    with files.replace_folder(target):
      raise ValueError("stop")

  with pytest.raises(ValueError, match="stop"):
    stop_halfway()
  assert [path.name for path in target.iterdir()] == ["old"]


def test_what_is_not_json_leaves_no_file(tmp_path):
  path = tmp_path / "a.json"
  with pytest.raises(ValueError, match="JSON"):
    files.write_json(path, {"loss": float("nan")}, allow_nan=False)
  assert list(tmp_path.iterdir()) == []


def test_the_hash_is_that_of_the_whole_file(tmp_path):
  content = bytes(range(256)) * 9000  # more than is read at once
  (tmp_path / "a").write_bytes(content)
  expected = hashlib.sha256(content).hexdigest()
  assert files.sha256_of(tmp_path / "a") == expected


@pytest.mark.parametrize(
  ("message", "line"),
  [
    ("one", "one"),
    ("\n one:\ntwo", "one"),
    ("cannot read a.txt.\n", "cannot read a.txt"),
    ("", "ValueError"),
  ],
)
def test_the_first_line_fits_into_another_message(message, line):
  assert files.first_line(ValueError(message)) == line


@pytest.mark.parametrize(
  ("source", "word"),
  [
    ("null", "null"),
    ("true", "true"),
    ("false", "false"),
    ("3", "a number"),
    ("3.5", "a number"),
    ('"3"', "a string"),
    ("[3]", "a list"),
    ('{"a": 3}', "an object"),
  ],
)
def test_values_have_the_words_of_json(source, word):
  assert describe_json(json.loads(source)) == word


def test_values_of_typed_tables_have_words_too():
  assert describe_json(np.int64(3)) == "a number"
  assert describe_json(np.float32(3)) == "a number"
  assert describe_json(datetime.date(2000, 1, 1)) == "a date"


@pytest.mark.parametrize(
  "room", ["bertjax", "data_pipelines", "configs", "launch", "benchmarks"]
)
def test_no_text_is_read_in_the_encoding_of_the_machine(room):
  for path in (pathlib.Path(__file__).parents[2] / room).rglob("*.py"):
    assert ".read_text()" not in path.read_text(encoding="utf-8"), path
