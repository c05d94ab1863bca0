# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a store holds, for whoever made it."""

import dataclasses

from data_pipelines.store.store import Store

_COUNTS = {
  "skipped_records": "bad records skipped",
  "empty_documents": "empty documents left out",
  "short_documents": "documents left out, shorter than --min_characters",
  "cut_documents": "cuts in documents that were too long",
  "shared_documents": "training documents also in validation",
  "duplicate_documents": "documents that stand there more than once",
  "duplicate_paragraphs": "repeated paragraphs left out",
  "duplicate_tokens": "tokens left out with what was repeated",
}


@dataclasses.dataclass(frozen=True)
class Summary:
  """What a store holds, and what making it took.

  Attributes:
    path: folder of the store.
    new: False where an earlier run had made it already.
    tokenizer: its name.
    vocab_size: number of its pieces.
    splits: documents, sentences and tokens of each split.
    unknown_rate: share of the training tokens that are the unknown piece.
    bytes_per_token: of all files of the store together, but its report.
    counts: what was left out, and what stands in the corpus twice, as
      `Shuffle.counts` gives it.
    tokenizer_seconds: spent on learning the tokenizer, reading included.
    seconds: spent on everything else in this run.
    tokens_encoded: in this run; an earlier one's are not counted.
  """

  path: str
  new: bool
  tokenizer: str
  vocab_size: int
  splits: dict[str, dict[str, int]]
  unknown_rate: float
  bytes_per_token: float
  counts: dict[str, int]
  tokenizer_seconds: float = 0.0
  seconds: float = 0.0
  tokens_encoded: int = 0

  @property
  def tokens_per_second(self) -> float:
    """Of reading, cutting, encoding and writing; the tokenizer apart."""
    return self.tokens_encoded / self.seconds if self.seconds else 0.0


def summarize(store: Store, *, new: bool) -> Summary:
  """Read the summary of a store off its manifest and files."""
  entry = store.manifest["tokenizer"]
  source = store.manifest["source"]
  splits = {
    name: {key: split[key] for key in ("documents", "sentences", "tokens")}
    for name, split in store.manifest["splits"].items()
  }
  counts_V = store.piece_counts()
  unknown = store.special_ids["unk"]
  files = (path for path in store.path.rglob("*") if path.is_file())
  size = sum(
    path.stat().st_size for path in files if not path.match("report.*")
  )
  return Summary(
    path=str(store.path),
    new=new,
    tokenizer=entry["name"],
    vocab_size=entry["vocab_size"],
    splits=splits,
    unknown_rate=float(counts_V[unknown] / max(int(counts_V.sum()), 1)),
    bytes_per_token=size / sum(split["tokens"] for split in splits.values()),
    counts={
      name: count for name, count in source.items() if isinstance(count, int)
    },
  )


def name_count(name: str) -> str:
  """What a count of a store's manifest counts, in words."""
  return _COUNTS.get(name, name.replace("_", " "))
