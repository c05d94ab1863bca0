# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Count what a store leaves out of its corpus."""

import dataclasses
from collections.abc import Iterable
from typing import Self

from data_pipelines.prepare.encode_pass import PartState


@dataclasses.dataclass
class LeftOut:
  """Counts of what was left out or repeated, as the manifest names them.

  Attributes:
    skipped_records: bad records.
    empty_documents: documents without text or without a token.
    short_documents: documents below the minimum of characters.
    cut_documents: cuts in documents that were too long.
    nul_characters: NUL characters that were removed.
    held_out_documents: documents of the corpus that went to no split, because
      the validation corpus has them.
    duplicate_documents: documents that occur more than once.
    duplicate_paragraphs: repeated paragraphs that were removed.
    duplicate_tokens: tokens of the documents and paragraphs removed.
  """

  skipped_records: int = 0
  empty_documents: int = 0
  short_documents: int = 0
  cut_documents: int = 0
  nul_characters: int = 0
  held_out_documents: int = 0
  duplicate_documents: int = 0
  duplicate_paragraphs: int = 0
  duplicate_tokens: int = 0

  @classmethod
  def by_encoding(cls, states: Iterable[PartState]) -> Self:
    """Add up what reading and encoding left out of every part."""
    states = list(states)
    total = lambda name: sum(state.tally.get(name, 0) for state in states)
    return cls(
      skipped_records=total("skipped"),
      empty_documents=total("empty") + sum(s.unwritten for s in states),
      short_documents=total("short"),
      cut_documents=total("cut"),
      nul_characters=total("nuls"),
    )
