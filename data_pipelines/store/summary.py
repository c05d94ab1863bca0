# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Summarize what a store holds, for the console of `launch.prepare`."""

import dataclasses
from collections.abc import Mapping

from data_pipelines.store.store import Store

_UNITS = ("documents", "sentences", "tokens")
_COUNTS = {
  "skipped_records": "bad records skipped",
  "empty_documents": "empty documents left out",
  "short_documents": "documents left out, shorter than --min_characters",
  "cut_documents": "cuts in documents that were too long",
  "nul_characters": "NUL characters removed",
  "shared_documents": "training documents also in validation",
  "held_out_documents": "training documents left out: validation has them",
  "duplicate_documents": "documents that occur more than once",
  "duplicate_paragraphs": "repeated paragraphs left out",
  "duplicate_tokens": "tokens of repeated text left out",
}


@dataclasses.dataclass(frozen=True)
class Summary:
  """What a store holds, and how long it took to make.

  Attributes:
    path: folder of the store.
    new: False where an earlier run had made the store.
    tokenizer: kind of the tokenizer.
    vocab_size: number of token ids.
    splits: documents, sentences and tokens of each split.
    unknown_rate: share of the training tokens that are the unknown token.
    bytes_per_token: bytes on disk over tokens, without the report.
    counts: what was left out of the store or occurs more than once.
    passed_over: files and folders beside the text that were not read, by
      suffix.
    tokenizer_seconds: time spent on learning the tokenizer and on reading for
      it.
    seconds: time spent on everything else in this run.
    tokens_encoded: tokens that this run encoded; an interrupted run before it
      is not counted.
  """

  path: str
  new: bool
  tokenizer: str
  vocab_size: int
  splits: dict[str, dict[str, int]]
  unknown_rate: float
  bytes_per_token: float
  counts: dict[str, int]
  passed_over: Mapping[str, int]
  tokenizer_seconds: float = 0.0
  seconds: float = 0.0
  tokens_encoded: int = 0

  @property
  def tokens_per_second(self) -> float:
    """Rate of reading, cutting, encoding and writing together."""
    return self.tokens_encoded / self.seconds if self.seconds else 0.0


def summarize(store: Store, *, new: bool) -> Summary:
  """Summarize a store from its manifest, token counts and file sizes."""
  manifest = store.manifest
  splits = {
    name: {unit: getattr(split, unit) for unit in _UNITS}
    for name, split in manifest.splits.items()
  }
  counts_V = store.token_counts()
  unknown = store.special_ids["unk"]
  files = (path for path in store.path.rglob("*") if path.is_file())
  size = sum(
    path.stat().st_size for path in files if not path.match("report.*")
  )
  return Summary(
    path=str(store.path),
    new=new,
    tokenizer=manifest.tokenizer.name,
    vocab_size=store.vocab_size,
    splits=splits,
    unknown_rate=float(counts_V[unknown] / max(int(counts_V.sum()), 1)),
    bytes_per_token=size / sum(split["tokens"] for split in splits.values()),
    counts=manifest.counts,
    passed_over=manifest.passed_over,
  )


def name_count(name: str) -> str:
  """Return a count's name in a store's manifest as words for the user."""
  return _COUNTS.get(name, name.replace("_", " "))
