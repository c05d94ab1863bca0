# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the encode pass: nothing is lost, nothing is encoded twice."""

import dataclasses

import pytest

from data_pipelines.corpora import filesystems
from data_pipelines.prepare import encode_pass, learning, prepare
from tests.testing.prepared import files


def test_what_may_be_read_another_time_loses_nothing(
  options, tmp_path, monkeypatch
):
  monkeypatch.setattr(encode_pass, "_SAVE_BYTES", 700)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 300)
  monkeypatch.setattr(learning, "_MAX_HELD", 0)
  whole = encode_pass._hashed

  def broken(corpus, *, skip):
    for number, document in enumerate(whole(corpus, skip=skip)):
      if number == 40:
        raise filesystems.ReadError("cannot read gs://b: the line is cut")
      yield document

  with monkeypatch.context() as patch:
    patch.setattr(encode_pass, "_hashed", broken)
    with pytest.raises(ValueError, match="the line is cut"):
      prepare.prepare(options)
  summary = prepare.prepare(options)
  everything = sum(split["tokens"] for split in summary.splits.values())
  assert 0 < summary.tokens_encoded < everything


def test_encoding_elsewhere_forgets_what_was_encoded_here(
  options, tmp_path, monkeypatch
):
  """A kill between the two must not mix their buckets."""
  prepare.prepare(dataclasses.replace(options, output=f"{tmp_path}/expected"))
  monkeypatch.setattr(encode_pass, "_SAVE_BYTES", 700)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 300)
  left = 40

  def interrupt(stage, share, tokens):
    nonlocal left
    left -= 1
    if not left:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare(options, interrupt)

  def external(corpus, encoder, buckets):
    for path in buckets:
      path.write_bytes(b"half a record")
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(prepare, "_external_encoder", lambda plan: external)
    with pytest.raises(KeyboardInterrupt):
      prepare.prepare(options)
  prepare.prepare(options)
  assert files(tmp_path / "store") == files(tmp_path / "expected")
