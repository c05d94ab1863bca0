# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores replace scores of the same model and data, and no other file."""

import json

import pytest

from launch.inference import score_file

IDENTITY = {"model": "a" * 64, "split": "test", "data": "b" * 64}


def test_only_scores_of_the_same_may_be_replaced(tmp_path):
  path = tmp_path / "scores.json"
  score_file.check(path, IDENTITY)  # there is none yet
  path.write_text(json.dumps({"scores": {}, "identity": IDENTITY}))
  score_file.check(path, IDENTITY)
  for name, old in (("model", "aaaaaaaaaaaa"), ("data", "bbbbbbbbbbbb")):
    with pytest.raises(ValueError, match=f"of another {name}") as caught:
      score_file.check(path, {**IDENTITY, name: "c" * 64})
    assert str(caught.value) == (
      f"{path} has scores of another {name} ({old} there, cccccccccccc now); "
      "give another --output, or delete it"
    )


def test_a_file_of_a_version_that_kept_paths_as_given_is_known(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / "scores.json"
  older = {**IDENTITY, "split": "data/test.csv"}
  path.write_text(json.dumps({"scores": {}, "identity": older}))
  now = str((tmp_path / "data" / "test.csv").resolve())
  score_file.check(path, {**IDENTITY, "split": now})
  with pytest.raises(ValueError, match="of another split"):
    score_file.check(path, {**IDENTITY, "split": "test"})


@pytest.mark.parametrize(
  "content",
  [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"identity": {"split": 1}}'],
)
def test_what_is_no_file_of_scores_is_kept(content, tmp_path):
  path = tmp_path / "notes.json"
  path.write_bytes(content)
  with pytest.raises(ValueError, match="nothing says that it has scores"):
    score_file.check(path, IDENTITY)
