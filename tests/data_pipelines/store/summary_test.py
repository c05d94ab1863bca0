# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the summary of a store counts."""

import pytest

from data_pipelines.store.store_writer import SplitWriter
from data_pipelines.store.summary import summarize
from tests.testing import synthetic


def test_the_summary_counts_files_tokens_and_unknown_tokens(tmp_path):
  """Unknown tokens of training; files of all splits, without a report."""
  unk = synthetic.SPECIALS["unk"]
  entries = {}
  for name, ids in (("train", [unk, 9, 9, 9]), ("validation", [unk, unk])):
    writer = SplitWriter(tmp_path, name, 50)
    synthetic.add_document(writer, [ids[:1], ids[1:]])
    entries[name] = writer.finish()
  store = synthetic.finish_store(tmp_path, entries, 50)
  size = sum(path.stat().st_size for path in tmp_path.iterdir())
  (tmp_path / "report.html").write_text("x" * 1000)
  summary = summarize(store, new=True)
  assert summary.splits["train"] == {
    "documents": 1,
    "sentences": 2,
    "tokens": 4,
  }
  assert summary.unknown_rate == 1 / 4
  assert summary.bytes_per_token == pytest.approx(size / 6)
  assert (summary.vocab_size, summary.tokens_per_second) == (50, 0)
