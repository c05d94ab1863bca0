# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every number of a store's report, as plain JSON values."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bertjax.batch import Vocabulary
from data_pipelines.rows import store_statistics as statistics
from data_pipelines.rows.format_report import report_formats
from data_pipelines.rows.store_statistics import Tally, TokenStatistics
from data_pipelines.store.store import Split, Store
from data_pipelines.tokenizers import tokenizers

PERCENTILES = (5, 25, 50, 75, 95, 99)
_TOP_PIECES = 40
_BINS_A_DECADE = 10
_EXTENSION = "extension.json"
_EXTENDED = ("fertility_before", "fertility_after")


def collect(store: Store) -> dict[str, Any]:
  """Count and measure everything but the sample rows."""
  tokenizer = tokenizers.load(store.tokenizer_path)
  vocabulary = tokenizer.vocabulary()
  counts_V = store.token_counts()
  pieces = statistics.count_tokens(counts_V, vocabulary)
  return {
    "store_sha256": store.sha256,
    "tokenizer": {
      "name": tokenizer.name,
      "lowercase": tokenizer.lowercase,
      "vocab_size": tokenizer.vocab_size,
      "sha256": tokenizer.sha256,
      **_extension(store),
    },
    "counts": store.manifest.counts,
    "recipe": store.manifest.recipe,
    "splits": {
      # Training first, whatever the manifest's order is.
      name: _split(store, store.split(name), vocabulary)
      for name in sorted(store.splits, key=lambda name: (name != "train", name))
      if store.splits[name].num_tokens
    },
    "vocabulary": {
      "ordinary": pieces.ordinary,
      "never": pieces.never,
      "coverage": _coverage(counts_V, pieces),
      "commonest": [
        {
          "piece": tokenizer.tokens[id_],
          "count": int(counts_V[id_]),
          "share": counts_V[id_] / pieces.tokens,
        }
        for id_ in pieces.ranked_N[:_TOP_PIECES].tolist()
      ],
    },
    "pairs": [
      {**pair._asdict(), "expected": pair.expected, "chance": pair.chance}
      for pair in statistics.measure_pairs(store)
    ],
    "formats": [
      {
        "input_format": report.input_format,
        "next_sentence": report.next_sentence,
        "seq_length": report.seq_length,
        **report.values,
      }
      for report in report_formats(store)
    ],
  }


def _split(
  store: Store, split: Split, vocabulary: Vocabulary
) -> dict[str, Any]:
  entry = store.manifest.splits[split.name]
  texts = statistics.count_texts(split)
  pieces = statistics.count_tokens(split.token_counts(), vocabulary)
  return {
    "documents": split.num_documents,
    "sentences": split.num_sentences,
    "tokens": split.num_tokens,
    "blocks": split.num_blocks,
    "shards": split.num_shards,
    "cut_sentences": entry.split_sentences,
    "bytes_per_token": sum(file.bytes for file in entry.files)
    / split.num_tokens,
    "unknown_tokens": pieces.unknown,
    "unknown_rate": pieces.unknown_rate,
    "fertility": pieces.fertility,
    "counted": texts.counted,
    "one_sentence_documents": texts.sentences_per_document.share(1, 1),
    "sentences_per_document": _sizes(texts.sentences_per_document),
    "tokens_per_sentence": _sizes(texts.tokens_per_sentence),
    "tokens_per_document": _sizes(texts.tokens_per_document),
  }


def _sizes(tally: Tally) -> dict[str, Any]:
  edges = _log_edges(tally.percentile(100))
  return {
    "mean": tally.mean,
    "percentiles": {
      str(percent): tally.percentile(percent) for percent in PERCENTILES
    },
    "max": tally.percentile(100),
    "edges": edges.tolist(),
    "counts": tally.histogram(edges).tolist(),
  }


def _log_edges(largest: int) -> np.ndarray:
  """Whole edges from 1 to past the largest, evenly spread by logarithm.

  A bin has at least one whole number, so small numbers have each their own.
  """
  decades = np.log10(largest + 1)
  steps = np.arange(np.ceil(decades * _BINS_A_DECADE) + 1) / _BINS_A_DECADE
  edges = np.unique(np.round(10**steps).astype(np.int64))
  return edges[: np.searchsorted(edges, largest, "right") + 1]


def _coverage(
  counts_V: np.ndarray, pieces: TokenStatistics
) -> list[dict[str, Any]]:
  """Share of the training text in its commonest pieces, by their number."""
  known = len(pieces.ranked_N)
  sums_N = np.cumsum(counts_V[pieces.ranked_N])
  steps = np.unique(np.round(np.geomspace(1, known, 60)).astype(np.int64))
  return [
    {"pieces": int(step), "share": int(sums_N[step - 1]) / pieces.tokens}
    for step in steps
  ]


def _extension(store: Store) -> Mapping[str, float]:
  """Pieces a word before and after a vocabulary was extended, if it was."""
  path = store.tokenizer_path / _EXTENSION
  if not path.is_file():
    return {}
  values = json.loads(path.read_text(encoding="utf-8"))
  return {name: float(values[name]) for name in _EXTENDED if name in values}
