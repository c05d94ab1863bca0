# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of what a store leaves out."""

from data_pipelines.prepare.encode_pass import PartState
from data_pipelines.prepare.left_out import LeftOut


def test_counts_of_all_parts_add_up():
  """A document without a token is as empty as one without text."""
  corpus = PartState(
    unwritten=3, tally={"skipped": 1, "empty": 20, "short": 5, "cut": 7}
  )
  validation = PartState(unwritten=4, tally={"empty": 100, "cut": 1})
  assert LeftOut.by_encoding(iter([corpus, validation])) == LeftOut(
    skipped_records=1, empty_documents=127, short_documents=5, cut_documents=8
  )
