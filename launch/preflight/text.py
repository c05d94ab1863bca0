# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the text of a store: copies, stray characters, uncut sentences."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from data_pipelines.store.layout import LENGTH
from data_pipelines.store.store import Store
from launch.preflight.findings import Finding, judge
from launch.preflight.policy import Policy

# A sentence of more tokens is hardly one: in novels less than 1% of the tokens
# are in such sentences.
_LONG = 128
# Documents are shuffled, so that the first sentences are a sample.
_SAMPLE = 1 << 22


@dataclasses.dataclass(frozen=True)
class SentenceFigures:
  """How the sentences of a store were cut.

  Attributes:
    long: share of the training tokens in sentences of over 128 tokens.
    lines: whether each line of the text is a sentence.
  """

  long: float = 0.0
  lines: bool = False


UNKNOWN = SentenceFigures()


def measure_sentences(store: Store) -> SentenceFigures:
  """Measure the first sentences of the training split."""
  lengths = store.split("train").sentences[:_SAMPLE] & LENGTH
  total = int(lengths.sum(dtype=np.int64))
  long = int(lengths[lengths > _LONG].sum(dtype=np.int64))
  return SentenceFigures(
    long=long / max(total, 1),
    lines=store.manifest.recipe.get("sentences") == "lines",
  )


def judge_text(
  counts: Mapping[str, int],
  documents: int,
  sentences: SentenceFigures,
  policy: Policy,
) -> Iterator[Finding]:
  """Judge what preparing counted, and how it cut sentences."""
  copies = counts.get("duplicate_documents", 0)
  yield judge(
    "duplicate_documents",
    copies / max(documents, 1),
    f"{copies:,} of {documents:,} documents occur more than once",
    "leave copies out with --deduplicate=documents",
    policy,
  )
  shared = counts.get("shared_documents", 0)
  yield judge(
    "shared_documents",
    shared,
    f"{shared:,} training documents are also validation documents, so that "
    "the validation loss is partly a training loss",
    "prepare the store again, which leaves them out of training",
    policy,
  )
  nuls = counts.get("nul_characters", 0)
  yield judge(
    "nul_characters",
    nuls,
    f"{nuls:,} NUL characters were removed from the text, which are most often "
    "halves of UTF-16 characters",
    "convert the files to UTF-8, as with iconv -f UTF-16LE -t UTF-8",
    policy,
  )
  yield judge(
    "long_sentences",
    sentences.long,
    f"{sentences.long:.0%} of the training tokens are in sentences of over "
    f"{_LONG} tokens: the ends of sentences were not found, as in Thai, or in "
    "text without end marks",
    "cut the text into one sentence a line"
    + ("" if sentences.lines else ", and prepare it with --sentences=lines"),
    policy,
  )
