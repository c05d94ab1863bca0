# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of writing a store."""

import dataclasses

import pytest

from data_pipelines.prepare import prepare, write_pass
from tests.testing.prepared import files


def test_a_disk_that_is_full_while_shards_are_written(
  options, tmp_path, monkeypatch
):
  prepare.prepare(dataclasses.replace(options, output=f"{tmp_path}/expected"))
  finish = write_pass.SplitWriter.finish

  def full(self):
    # What array_record raises, seen on a full tmpfs.
    finish(self)
    raise RuntimeError("write() failed: No space left on device; writing X")

  with monkeypatch.context() as patch:
    patch.setattr(write_pass.SplitWriter, "finish", full)
    with pytest.raises(OSError, match="No space left on device; fix that"):
      prepare.prepare(options)
  assert not (tmp_path / "store").exists()
  summary = prepare.prepare(options)
  assert summary.tokens_encoded == 0  # all was in the spool
  assert files(tmp_path / "store") == files(tmp_path / "expected")
